"""Evolution: optima that are known, what each algorithm must not notice, devices."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from evosax.algorithms import (
    CMA_ES,
    PGPE,
    PSO,
    SV_CMA_ES,
    DifferentialEvolution,
    Open_ES,
    SimpleGA,
)
from helpers import Tanh

import pnnjax as pnn
from pnnjax.optimizers import evolution

KEY = jax.random.key(4)
TARGET = jnp.asarray([0.3, -0.2, 0.5, 0.1, 0.4])
FALLING = optax.exponential_decay(1.0, 1, 0.97)
SLOWING = optax.adam(optax.cosine_decay_schedule(0.2, 200))


def ellipsoid(condition, key):
    """A positive matrix with that condition number, in directions drawn by `key`."""
    turn, _ = jnp.linalg.qr(jax.random.normal(key, (5, 5)))
    return turn @ jnp.diag(condition ** jnp.linspace(0, 1, 5)) @ turn.T


def search(strategy, population, loss, start, steps, spread=0.3, **settings):
    """A function of a matrix and a key: the parameters found, and the losses."""
    found = evolution(strategy, population, spread=spread, settings=settings)

    def run(matrix, key):
        def body(carry, step):
            p, memory = carry
            own = jax.random.fold_in(key, step)
            p, memory, best = found.step(
                lambda p, _: loss(p, matrix), memory, p, key=own
            )
            return (p, memory), best

        begin = start, jax.tree.map(jnp.asarray, found.init(start))
        (p, _), losses = jax.lax.scan(body, begin, jnp.arange(steps))
        return p, losses

    return run


def bowl(p, matrix):
    """Least at the target, in two real numbers and a complex one and a real one."""
    (z,) = p["field"]
    offset = jnp.stack([*p["phase"], z.real, z.imag, p["bias"]]) - TARGET
    return offset @ matrix @ offset


START = {
    "phase": jnp.zeros(2),
    "field": jnp.zeros(1, complex),
    "bias": jnp.zeros(()),
}


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("strategy", "population", "steps", "error"),
    [
        (CMA_ES, 12, 150, 1e-9),
        slow(DifferentialEvolution, 20, 150, 1e-6),
        (PSO, 24, 150, 1e-3),
        slow(partial(SimpleGA, std_schedule=FALLING), 32, 200, 1e-2),
        slow(partial(Open_ES, optimizer=SLOWING, std_schedule=FALLING), 32, 200, 1e-2),
        slow(partial(PGPE, optimizer=SLOWING), 32, 200, 1e-2),
    ],
    ids=["cma", "differential", "swarm", "genetic", "open", "pgpe"],
)
def test_every_family_finds_the_bottom_of_a_bowl(strategy, population, steps, error):
    run = jax.jit(search(strategy, population, bowl, START, steps))
    p, losses = run(ellipsoid(10.0, KEY), KEY)
    assert losses[-1] < losses[0]
    parts = [p["phase"], p["field"].real, p["field"].imag, p["bias"][None]]
    np.testing.assert_allclose(jnp.concatenate(parts), TARGET, atol=error)


@pytest.mark.slow
def test_cma_sees_neither_order_preserving_maps_nor_units_nor_directions():
    start = jnp.zeros(5)

    def loss(p, setting):
        matrix, unit, stretched = setting
        offset = p / unit - TARGET
        value = offset @ matrix @ offset
        return jnp.where(stretched, jnp.expm1(value) * 7, value)

    run = jax.jit(
        jax.vmap(search(CMA_ES, 10, loss, start, 60), in_axes=((0, None, 0), 0))
    )
    keys = jnp.stack([KEY, KEY, *jax.random.split(KEY, 12)])
    round_ = ellipsoid(1e3, jax.random.key(1))
    along = jnp.diag(1e3 ** jnp.linspace(0, 1, 5))
    matrices = jnp.stack([round_] * 2 + [round_] * 6 + [along] * 6)
    stretched = jnp.arange(14) == 1
    p, losses = run((matrices, jnp.ones(()), stretched), keys)
    np.testing.assert_array_equal(p[0], p[1])
    # The samples are others in other axes: the rate is what must be the same.
    reached = jnp.log10(losses[2:, -1]).reshape(2, 6)
    assert abs(reached[0].mean() - reached[1].mean()) < 3 * reached.std(1).mean()
    assert reached.mean() < -3


@pytest.mark.slow
def test_a_unit_changes_nothing_if_the_spread_has_it():
    def loss(p, unit):
        return jnp.sum((p / unit - TARGET) ** 2)

    one, _ = search(PSO, 4, loss, jnp.zeros(5), 2)(jnp.ones(()), KEY)
    two, _ = search(PSO, 4, loss, jnp.zeros(5), 2, spread=0.6)(2 * jnp.ones(()), KEY)
    np.testing.assert_array_equal(2 * one, two)


class Bounded(pnn.AbstractBoundedLayer):
    """Shifts its input by what can't be above one half."""

    shift: jax.Array
    facts = pnn.Facts()

    def __call__(self, x, *, key=None):
        return x + self.shift

    def project(self):
        return Bounded(jnp.minimum(self.shift, 0.5 * jnp.ones_like(self.shift)))


def regression():
    x = jax.random.normal(jax.random.key(1), (16, 3))
    return x, jnp.tanh(x @ jnp.asarray([[1.0, 0.0], [0.0, -1.0], [0.5, 0.5]]))


def test_a_population_runs_a_device_once_each_and_asks_for_no_derivative():
    device = pnn.devices.CallbackDevice(
        lambda parameters, x: np.tanh(x @ parameters[0].T),
        parameter_range=(-10, 10),
        input_range=(-10, 10),
        output_range=(-1, 1),
    )
    model = pnn.devices.DeviceLayer(Tanh(jnp.zeros((2, 3))), device)
    result = pnn.fit(
        model,
        regression(),
        pnn.objectives.mean_squared_error,
        evolution(PSO, 8, spread=0.3),
        epochs=30,
        batch_size=16,
        key=KEY,
        progress=False,
    )
    assert device.runs == 8 * 30
    assert result.history.loss[-1] < 0.5 * result.history.loss[0]


@pytest.mark.slow
def test_a_population_resumes_to_the_same_bits(tmp_path):
    found, file = evolution(PSO, 6, spread=0.3), tmp_path / "run"
    data = pnn.data.Dataset(*regression(), *regression(), ("a", "b"))
    calls = []

    def third_stops(y, targets):
        calls.append(y)
        if len(calls) == 3:
            raise InterruptedError
        return jnp.sum(y)

    def train(metric, **saving):
        return pnn.fit(
            Tanh(jnp.zeros((2, 3))),
            data,
            pnn.objectives.mean_squared_error,
            found,
            epochs=4,
            batch_size=8,
            metrics={"sum": metric},
            key=KEY,
            progress=False,
            **saving,
        )

    whole = train(lambda y, targets: jnp.sum(y))
    with pytest.raises(InterruptedError):
        train(third_stops, checkpoint=file)
    again = train(third_stops, checkpoint=file, resume=True)
    assert len(calls) == 5
    np.testing.assert_array_equal(again.history.loss, whole.history.loss)
    np.testing.assert_array_equal(again.model.weight, whole.model.weight)


@pytest.mark.slow
def test_a_distribution_goes_on_from_where_it_was_projected_to():
    def far(y, targets):
        return jnp.mean((y - 2) ** 2)

    x = jnp.zeros((4, 2))
    found = evolution(partial(Open_ES, optimizer=optax.sgd(2.0)), 8, spread=0.1)
    model, history = pnn.fit(
        Bounded(jnp.zeros(2)),
        (x, x),
        far,
        found,
        epochs=40,
        batch_size=4,
        key=KEY,
        progress=False,
    )
    np.testing.assert_allclose(model.shift, 0.5, atol=0.05)
    # Had the mean gone on beyond the bound, its members would be at the optimum.
    assert (history.loss[-20:] > 0.8).all()


def test_types_of_parameters_stay_and_the_first_member_is_the_model():
    start = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones((1, 2), jnp.complex64)}

    def loss(p, _):
        return jnp.sum(jnp.abs(p["b"] - 1)) + jnp.sum(jnp.abs(p["a"] - 1))

    p, losses = search(SimpleGA, 4, loss, start, 1)(None, KEY)
    assert (p["a"].dtype, p["b"].dtype) == (jnp.float32, jnp.complex64)
    assert losses[0] == 0
    jax.tree.map(np.testing.assert_array_equal, p, start)


@pytest.mark.parametrize(
    ("error", "match", "arguments"),
    [
        (ValueError, "at least 2", (CMA_ES, 1)),
        (ValueError, "Population size must be even. It takes 8", (PGPE, 7)),
        (ValueError, ">= 4. It takes 4", (DifferentialEvolution, 3)),
        (TypeError, "not a Tanh", (lambda population_size, solution: Tanh(None), 8)),
        (TypeError, "several means", (partial(SV_CMA_ES, num_populations=2), 8)),
    ],
)
def test_what_can_not_work_is_refused_at_once(error, match, arguments):
    with pytest.raises(error, match=match):
        evolution(*arguments, spread=0.1)


def test_a_setting_must_be_one_of_the_algorithm():
    with pytest.raises(ValueError, match="no setting `inertia`, but cognitive_coeff"):
        evolution(PSO, 8, spread=0.1, settings={"inertia": 0.5})
    found = evolution(PSO, 8, spread=0.1, settings={"inertia_coeff": 0.5})
    assert found._algorithm(jnp.zeros(3)).params.inertia_coeff == 0.5
    with pytest.raises(ValueError, match="`spread` must be positive"):
        evolution(PSO, 8, spread=0.0)
