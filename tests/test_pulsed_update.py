"""Updates by pulses: as many as trains of pulses meet, and what cells make of them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pnnjax as pnn
from pnnjax.circuits import IDENTICAL, ConstantStep, SoftBounds, Variation
from pnnjax.optimizers import (
    mixed_precision,
    program_and_verify,
    pulsed_update,
    refreshed,
)

DRAWS, SLOTS, RATE, GRANULARITY = 4000, 31, 0.1, 1e-2


class Counter(pnn.AbstractPulsedDevice):
    """Its state becomes how many pulses came: up, and a thousand times down."""

    low: float = 0.0
    high: float = 1.0
    granularity: float = GRANULARITY

    def manufacture(self, state, *, key):
        return ()

    def pulse(self, state, cell, up, down, *, key):
        return up + 1000 * down, cell

    def rest(self, state, cell, seconds, *, key):
        return state + seconds, cell


def crossbar():
    return pnn.circuits.Crossbar.from_weights(
        jnp.zeros((3, 4)),
        weight_range=0.5,
        encoding=pnn.circuits.Referenced(),
        counting=True,
    )


def signals():
    """Inputs and errors of five examples, of both signs."""
    rng = np.random.default_rng(2)
    return rng.uniform(-1, 1, (5, 4)), rng.normal(0, 0.07, (5, 3))


@pytest.fixture(scope="module")
def drawn():
    """Pulses up and down at each cell, many times, for gradients times a factor."""
    layer = pnn.Physical(crossbar(), pnn.estimators.TransposedRead())
    trained, fixed = eqx.partition(layer, pnn.is_trainable(layer))
    x, error = map(jnp.asarray, signals())

    def loss(trained):
        return jnp.sum(error * eqx.combine(trained, fixed)(x))

    @jax.jit
    def run(factor):
        optimizer = optax.chain(
            optax.scale(-RATE), optax.scale(factor), pulsed_update(Counter())
        )
        memory = optimizer.init(trained)
        gradient = jax.grad(loss)(trained)

        def once(step):
            ready = (*memory[:2], memory[2]._replace(step=step))
            updates, _ = optimizer.update(gradient, ready, trained)
            after = optax.apply_updates(trained, updates).layer
            return after.conductance, after.traffic

        return jax.vmap(once)(jnp.arange(DRAWS))

    def counted(factor):
        counts, traffic = map(np.asarray, run(factor))
        return counts % 1000, counts // 1000, traffic

    return counted


def coincidences():
    """Of trains of pulses, slot by slot, one example after the other."""
    x, error = signals()
    rng = np.random.default_rng(3)
    # Where both probabilities are right, so is that of their meeting; it stays below 1.
    gain = np.sqrt(RATE / (GRANULARITY * SLOTS))
    assert gain * max(np.abs(x).max(), np.abs(error).max()) < 2
    probabilities = np.minimum(gain * np.abs(x), 1), gain * np.abs(error)
    up, down = np.zeros((2, DRAWS, 1, 3, 4))
    for p, q, own in zip(*probabilities, -error[:, :, None] * x[:, None], strict=True):
        rows = rng.random((DRAWS, SLOTS, 1, 4)) < p
        columns = rng.random((DRAWS, SLOTS, 3, 1)) < q[:, None]
        met = np.sum(rows & columns, axis=1)[:, None]
        up, down = up + met * (own > 0), down + met * (own < 0)
    return up, down


def test_pulses_are_as_many_as_trains_on_rows_and_columns_meet(drawn):
    ours, trains = drawn(1.0), coincidences()
    assert not ours[2].any()
    for mine, theirs in zip(ours[:2], trains, strict=True):
        assert 0.1 < theirs.mean() < 1
        spread = mine.var(0) + theirs.var(0)
        error = np.abs(mine.mean(0) - theirs.mean(0))
        assert (error <= 4 * np.sqrt(spread / DRAWS)).all()
        # A train's variance is lower by its probability to meet in a slot, here at
        # most a few percent; that of a variance's estimate follows from the kurtosis.
        fourth = [np.mean((n - n.mean(0)) ** 4, 0) for n in (mine, theirs)]
        errors = [f - n.var(0) ** 2 for f, n in zip(fourth, (mine, theirs))]
        error = np.abs(mine.var(0) - theirs.var(0))
        assert (error <= 4 * np.sqrt(sum(errors) / DRAWS) + 0.04 * mine.var(0)).all()


@pytest.mark.parametrize("factor", (0.5, 8.0, 120.0))
def test_few_and_many_pulses_are_poisson_numbers(drawn, factor):
    x, error = signals()
    products = -error[:, :, None] * x[:, None] * RATE / GRANULARITY * factor
    # The slope of a weight in its state is 2 x 0.5.
    for counts, sign in zip(drawn(factor)[:2], (1, -1), strict=True):
        mean = np.maximum(sign * products, 0).sum(0)
        found, variance = np.mean(counts[:, 0], 0), np.var(counts[:, 0], 0)
        assert (np.abs(found - mean) <= 4 * np.sqrt(mean / DRAWS)).all()
        # The fourth central moment of a Poisson number is m + 3 m^2.
        allowed = 4 * np.sqrt((mean + 2 * mean**2) / DRAWS)
        assert (np.abs(variance - mean) <= allowed).all()


def test_changes_of_any_array_are_rounded_without_bias_up_to_the_longest():
    changes = jnp.tile(jnp.asarray([0.3, -2.6, 0.0, 50.0, jnp.nan]), (4000, 1))
    changes = GRANULARITY * changes
    start = jnp.full_like(changes, 0.5)
    optimizer = pulsed_update(Counter(), longest=9, seconds=0.25)

    @jax.jit
    def run():
        updates, after = optimizer.update(changes, optimizer.init(start), start)
        return start + updates - 0.25, after.step

    pulses, step = map(np.asarray, run())
    assert step == 1
    up, down = pulses % 1000, pulses // 1000
    assert set(np.unique(down[:, 1])) == {2, 3} and not up[:, 1].any()
    assert abs(up[:, 0].mean() - 0.3) < 4 * np.sqrt(0.21 / 4000)
    assert abs(down[:, 1].mean() - 2.6) < 4 * np.sqrt(0.24 / 4000)
    assert not pulses[:, 2].any() and (up[:, 3] == 9).all()
    assert np.isnan(pulses[:, 4]).all()


def test_only_the_cells_are_pulsed_where_the_rest_is_masked():
    layer = pnn.circuits.Crossbar(
        3,
        2,
        key=jax.random.key(0),
        encoding=pnn.circuits.Referenced(),
        use_bias=True,
        counting=True,
    )
    device = ConstantStep(GRANULARITY, variation=IDENTICAL)
    optimizer = optax.chain(
        optax.sgd(0.1), optax.masked(pulsed_update(device), pnn.circuits.is_conductance)
    )
    trained = eqx.filter(layer, pnn.is_trainable(layer))
    gradient = jax.tree.map(jnp.ones_like, trained)

    @jax.jit
    def run():
        return optimizer.update(gradient, optimizer.init(trained), trained)[0]

    first = jax.tree.map(np.asarray, run())
    np.testing.assert_allclose(first.bias, -0.1)
    pulses = first.conductance / GRANULARITY
    np.testing.assert_allclose(pulses, np.round(pulses), atol=1e-9)
    # Ten pulses down are wanted of each, and none up.
    assert pulses.max() < 0 and abs(pulses.mean() + 10) < 4 * np.sqrt(10 / 6)
    assert not first.traffic.any()


@pytest.mark.slow
def test_what_digital_memory_holds_and_what_cells_hold_add_up():
    # Bounds are far, cells alike: nothing is lost between chi and the state.
    device = ConstantStep(0.01, low=-10.0, high=10.0, variation=IDENTICAL)
    optimizer = mixed_precision(device, longest=3)
    changes = 0.03 * jax.random.normal(jax.random.key(0), (50, 20))

    def once(carry, change):
        value, memory = carry
        updates, memory = optimizer.update(change, memory, value)
        return (value + updates, memory), updates

    @jax.jit
    def run():
        value = jnp.zeros(20)
        return jax.lax.scan(once, (value, optimizer.init(value)), changes)

    (value, memory), updates = jax.tree.map(np.asarray, run())
    kept, wanted = memory.gathered[0], np.asarray(changes).sum(0)
    np.testing.assert_allclose(value + kept, wanted, atol=1e-12)
    pulses = updates / 0.01
    np.testing.assert_allclose(pulses, np.round(pulses), atol=1e-9)
    assert set(np.unique(np.abs(np.round(pulses)))) <= {0, 1, 2, 3}


@pytest.fixture(scope="module")
def programmed():
    """Cells that differ, programmed from the middle to targets, and pairs refreshed."""
    vary = Variation(step=0.15, asymmetry=0.1, bounds=0.0, cycle=0.3)
    device = SoftBounds(0.004, asymmetry=0.2, variation=vary)
    verified = program_and_verify(device, tolerance=0.01, cycles=60)
    rising = pnn.circuits.OneWay(SoftBounds(0.004, variation=vary))
    fresh = refreshed(mixed_precision(rising), rising, threshold=0.6, tolerance=0.01)
    targets = jnp.linspace(0.2, 0.8, 200)
    pairs = jnp.stack([jnp.linspace(0.3, 0.9, 50), jnp.full(50, 0.7)])

    @jax.jit
    def run() -> Any:
        start = jnp.full(200, 0.5)
        updates, _ = verified.update(targets - start, verified.init(start), start)
        state = fresh.init(pairs)
        changes, _ = fresh.update(0.0 * pairs, state, pairs)
        return targets, start + updates, pairs, pairs + changes

    return run()


@pytest.mark.slow
def test_programming_ends_within_its_tolerance(programmed):
    targets, states = programmed[:2]
    np.testing.assert_allclose(states, targets, atol=0.01)


@pytest.mark.slow
def test_full_pairs_are_set_back_to_their_difference(programmed):
    before, after = map(np.asarray, programmed[2:])
    full = before.min(0) > 0.6
    assert 10 < full.sum() < 40
    assert (after[:, ~full] == before[:, ~full]).all()
    assert after[:, full].max() < 0.35 and (after[:, full].min(0) == 0).all()
    found, expected = after[0] - after[1], before[0] - before[1]
    np.testing.assert_allclose(found[full], expected[full], atol=0.01)


ARRAY = jnp.zeros(3)


@pytest.mark.parametrize(
    ("fail", "error", "message"),
    [
        (lambda: pulsed_update(Counter(), longest=0), ValueError, "at least 1 pulse"),
        (lambda: pulsed_update(Counter(), seconds=-1.0), ValueError, "finite and not"),
        (lambda: mixed_precision(Counter(), longest=-1), ValueError, "at least 1"),
        (
            lambda: program_and_verify(Counter(), tolerance=-1.0),
            ValueError,
            "negative",
        ),
        (
            lambda: pulsed_update(Counter()).init(jax.lax.complex(ARRAY, ARRAY)),
            TypeError,
            "complex",
        ),
        (
            lambda: pulsed_update(Counter()).update(
                ARRAY, pulsed_update(Counter()).init(ARRAY)
            ),
            ValueError,
            "pass `params`",
        ),
        (
            lambda: refreshed(
                optax.sgd(0.1), Counter(), threshold=0.5, tolerance=0.1
            ).init(ARRAY),
            TypeError,
            "needs the cells",
        ),
        (
            lambda: refreshed(optax.sgd(0.1), Counter(), threshold=0.0, tolerance=0.1),
            ValueError,
            "above the device's",
        ),
    ],
)
def test_what_cannot_work_is_refused(fail, error, message):
    with pytest.raises(error, match=message):
        fail()
