"""Symmetric compositions of exact flows, on an oscillator that is solved."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax.integrators import Splitting, held, symmetric_stages

FLOWS = [
    lambda s, force, t: (s[0], s[1] + t * (force - s[0])),
    lambda s, force, t: (s[0] + t * s[1], s[1]),
]


def oscillator(splitting, force):
    """From q = 1 at rest; both flows are those of p²/2 + q²/2 - f q."""
    start = jnp.ones(()), jnp.zeros(())
    return jax.jit(lambda: splitting.run(FLOWS, start, force, lambda s: jnp.stack(s)))()


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_stages_are_the_same_from_both_ends_and_fill_the_step(parts, order):
    stages = symmetric_stages(parts, order)
    np.testing.assert_allclose(stages, stages[::-1], atol=1e-15)
    for part in range(parts):
        assert sum(f for k, f in stages if k == part) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("order", [2, 4])
def test_error_falls_as_the_order_says(order):
    time, force = 3.0, 0.4
    exact = [force + (1 - force) * math.cos(time), -(1 - force) * math.sin(time)]
    errors = []
    for steps in (24, 48):
        splitting = Splitting(time, steps, order=order)
        state, _ = oscillator(splitting, jnp.full(steps, force))
        errors.append(np.linalg.norm(np.asarray(state) - exact))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_the_same_steps_run_backwards_when_the_motion_is_reversed():
    force = jnp.linspace(-1, 1, 30)
    splitting = Splitting(5.0, 30, order=4)

    @jax.jit
    def there_and_back():
        (q, p), _ = splitting.run(FLOWS, (jnp.ones(()), jnp.zeros(())), force, _first)
        (q, p), _ = splitting.run(FLOWS, (q, -p), force[::-1], _first)
        return q, -p

    np.testing.assert_allclose(there_and_back(), (1, 0), atol=1e-14)


def test_readings_are_those_of_the_trajectory():
    force = jnp.linspace(-1, 1, 12)
    splitting = Splitting(2.0, 12, readings=3)
    _, y = oscillator(splitting, force)
    start = jnp.ones(()), jnp.zeros(())
    course = jax.jit(lambda: splitting.trajectory(FLOWS, start, force))()
    np.testing.assert_allclose(y, np.stack(course, -1)[3::4], rtol=1e-14)
    np.testing.assert_array_equal(splitting.read(splitting.unread(y)), y)


def test_a_signal_is_held():
    x = jnp.arange(12.0).reshape(2, 3, 2)
    drive = held(x, 6)
    assert drive.shape == (6, 2, 2)
    np.testing.assert_array_equal(drive[1], x[:, 0])
    np.testing.assert_array_equal(drive[4], x[:, 2])


def test_what_can_not_be_is_refused():
    with pytest.raises(ValueError, match="order"):
        Splitting(1.0, 4, order=3)
    with pytest.raises(ValueError, match="positive time"):
        Splitting(0.0, 4)
    with pytest.raises(ValueError, match="positive time"):
        Splitting(1.0, 0)
    with pytest.raises(ValueError, match="divide the 12 steps, but is 5: take 4"):
        Splitting(1.0, 12, readings=5)
    with pytest.raises(ValueError, match="take 12 steps"):
        held(jnp.ones((4, 1)), 10)


def _first(state):
    return jnp.stack(state)
