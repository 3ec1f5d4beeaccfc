"""The Duffing lattice, against elliptic integrals, normal modes and SciPy."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import ellipk

from pnnjax._motion import PhaseSpace
from pnnjax.integrators import Splitting
from pnnjax.oscillators import DuffingLattice

KEY = jax.random.key(5)


@eqx.filter_jit
def course(layer, position, force):
    start = PhaseSpace(position, jnp.zeros_like(position))
    states = layer.trajectory(start, force)
    energies = jax.vmap(layer.energy, (0, None))
    return states, layer.energy(start, force[0]), energies(states, force[0])


def unforced(layer):
    return jnp.zeros((layer.splitting.steps, len(layer.inputs)))


def test_period_of_a_hard_spring():
    """T = 4K(m)/w with w² = (k + βA²)/M and m = βA²/(2(k + βA²))."""
    mass, stiffness, cubic, reach = 2.0, 1.5, 3.0, 0.8
    squared = (stiffness + cubic * reach**2) / mass
    period = 4 * ellipk(0.5 * cubic * reach**2 / mass / squared) / math.sqrt(squared)
    layer = DuffingLattice(
        1,
        key=KEY,
        mass=mass,
        stiffness=stiffness,
        cubic=cubic,
        disorder=0.0,
        splitting=Splitting(2 * period, 4000),
    )
    states, before, energy = course(layer, jnp.asarray([reach]), unforced(layer))
    at = states.position[jnp.asarray([499, 999, 1999, 3999]), 0]
    np.testing.assert_allclose(at, [0, -reach, reach, reach], atol=1e-5)
    np.testing.assert_allclose(energy, before, rtol=1e-5)


def test_normal_modes_of_a_linear_chain():
    """With walls as springs k = c, mode m has w = 2 sqrt(c/M) sin(πm/(2(n+1)))."""
    n, mode, c, mass, time = 5, 3, 2.0, 0.5, 1.7
    layer = DuffingLattice(
        n,
        key=KEY,
        mass=mass,
        cubic=0.0,
        coupling=c,
        disorder=0.0,
        splitting=Splitting(time, 1000),
    )
    walls = jnp.zeros(n).at[0].set(c).at[-1].set(c)
    layer = eqx.tree_at(lambda d: d.stiffness, layer, walls)
    shape = np.sin(math.pi * mode * np.arange(1, n + 1) / (n + 1))
    states, *_ = course(layer, jnp.asarray(shape), unforced(layer))
    rate = 2 * math.sqrt(c / mass) * math.sin(math.pi * mode / (2 * (n + 1)))
    np.testing.assert_allclose(
        states.position[-1], math.cos(rate * time) * shape, atol=1e-5
    )


def test_it_follows_the_equation_of_motion():
    """Two masses, of which one is pushed by a force in three steps; and friction."""
    mass, force, time, friction = np.asarray([1.0, 2.0]), [0.7, -1.2, 0.4], 3.0, 0.3
    layer = DuffingLattice(
        2,
        key=KEY,
        mass=mass,
        inputs=[1],
        loss_rate=friction,
        splitting=Splitting(time, 3000, readings=3),
    )
    k, beta, (c,) = (
        np.asarray(a) for a in (layer.stiffness, layer.cubic, layer.coupling)
    )

    def slope(t, state):
        q, p = state[:2], state[2:]
        pull = -k * q - beta * q**3 - c * (q - q[::-1])
        push = np.asarray([0, force[min(int(t / time * 3), 2)]])
        return np.concatenate([p / mass, pull + push - friction * p])

    state, expected = np.zeros(4), []
    for third in range(3):
        span = (third * time / 3, (third + 1) * time / 3)
        inside = lambda t, s, end=span[1]: slope(min(t, end - 1e-9), s)  # noqa: E731
        state = solve_ivp(inside, span, state, rtol=1e-10, atol=1e-12).y[:, -1]
        expected.append(state[:2])
    y = eqx.filter_jit(layer)(jnp.asarray(force)[:, None])
    np.testing.assert_allclose(y, expected, atol=1e-6)
    assert not layer.facts.time_reversible


def test_reversed_it_retraces_and_its_energy_is_bounded():
    layer = DuffingLattice(4, key=KEY, cubic=2.0, splitting=Splitting(20.0, 200))
    force = 0.4 * jax.random.normal(KEY, (200, 4))
    start = jax.random.normal(KEY, (3, 4))
    many = jnp.broadcast_to(force[:, None], (200, 3, 4))

    @eqx.filter_jit
    def there_and_back(layer, start, many):
        states = layer.trajectory(PhaseSpace(start, 0 * start), many)
        last = jax.tree.map(lambda s: s[-1], states)
        back = layer.trajectory(last.reversed(), many[::-1])
        still = layer.trajectory(PhaseSpace(start, 0 * start), 0 * many)
        return states, back, jax.vmap(layer.energy, (0, None))(still, 0 * many[0])

    states, back, energy = there_and_back(layer, start, many)
    np.testing.assert_allclose(back.position[:-1], states.position[-2::-1], atol=1e-12)
    np.testing.assert_allclose(back.position[-1], start, atol=1e-12)
    np.testing.assert_allclose(back.momentum[-1], 0, atol=1e-12)
    spread = np.ptp(energy, 0) / np.mean(energy, 0)
    first, last = np.mean(energy[:100], 0), np.mean(energy[100:], 0)
    assert np.all(spread < 0.05) and np.all(np.abs(last / first - 1) < 2e-3)


def test_axes_and_single_precision():
    layer = DuffingLattice(2, key=KEY, splitting=Splitting(1.0, 4, readings=2))
    x = jax.random.normal(KEY, (3, 2, 2))
    y, mapped = eqx.filter_jit(lambda x: (layer(x), jax.vmap(layer)(x)))(x)
    assert y.shape == (3, 2, 2)
    np.testing.assert_allclose(mapped, y, rtol=1e-12)
    assert jax.eval_shape(layer, x.astype(jnp.float32)).dtype == jnp.float32


class TestRefuses:
    @pytest.mark.parametrize("order, limit", [(2, "1.29"), (4, "0.758")])
    def test_a_step_that_is_too_long(self, order, limit):
        """K = ((k+c, -c), (-c, k+c)) has eigenvalues k and k + 2c."""
        with pytest.raises(ValueError, match=f"1.55 rad/s.*below {limit} s"):
            DuffingLattice(
                2,
                key=KEY,
                stiffness=1.0,
                coupling=0.7,
                disorder=0.0,
                splitting=Splitting(2.6, 2, order=order),
            )

    def test_masses_that_are_none(self):
        with pytest.raises(ValueError, match="site 1 is -2.0 kg"):
            DuffingLattice(2, key=KEY, mass=np.asarray([1.0, -2.0]))
        with pytest.raises(ValueError, match="site 0 is 0.0 kg"):
            DuffingLattice(2, key=KEY, mass=0.0)

    def test_inputs_that_do_not_fit(self):
        layer = DuffingLattice(2, key=KEY)
        with pytest.raises(ValueError, match=r"axes \(times, 2\)"):
            layer(jnp.ones((4, 3)))
        with pytest.raises(ValueError, match="do not divide the 40 steps"):
            layer(jnp.ones((3, 2)))
