"""iris-coupled, the updates that respect its levels, and its picture."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pnnjax import plots, zoo
from pnnjax.circuits import ExponentialDiode, ResistorNetwork
from pnnjax.optimizers import quantized_update
from pnnjax.zoo._iris_coupled import HIGH, LOW, IrisCoupled


def levels_of(network):
    return np.asarray(network.conductance) / LOW


def test_untrained_network_has_128_levels_and_signs_of_both_kinds():
    study = IrisCoupled()
    network = study.network(key=jax.random.key(0))
    place = levels_of(network)
    np.testing.assert_allclose(place, np.round(place), rtol=1e-6)
    assert place.min() >= 1 - 1e-6 and place.max() <= 128 + 1e-4
    x = study.flowers(0).train_x
    assert x.shape == (90, 8) and np.abs(x).max() == 1
    np.testing.assert_array_equal(x[:, :4], -x[:, 4:])


def test_damage_cuts_a_tenth_of_the_edges():
    study = IrisCoupled()
    network = study.network(key=jax.random.key(0))
    cut = study.damaged(network, key=jax.random.key(1))
    assert (len(network.graph.edges), len(cut.graph.edges)) == (82, 73)
    assert set(cut.graph.edges) < set(network.graph.edges)


@pytest.mark.slow
def test_a_short_run_learns_on_its_levels(tmp_path):
    study = IrisCoupled(seeds=1, epochs=6, again=1, hidden=1)
    out = zoo.run(study, out=tmp_path / "run", progress=False)
    assert out.value >= 0.75 and set(out.table) == {
        "seed",
        "accuracy",
        "damaged",
        "retrained",
    }
    place = levels_of(out.model.layer)
    np.testing.assert_allclose(place, np.round(place), rtol=1e-4)
    names = {file.name for file in (tmp_path / "run").iterdir()}
    assert {"physics.png", "training.png", "metrics.csv", "result.json"} <= names


@pytest.mark.slow
def test_the_network_reaches_the_paper_and_survives_the_damage():
    out = zoo.run(IrisCoupled(), progress=False)
    assert out.value >= 0.95
    assert np.mean(out.table["retrained"]) >= 0.95


def test_an_update_is_right_on_average_and_ends_on_a_level():
    optimizer = quantized_update(3, -1.0, 2.5, seed=4)
    params = {"a": jnp.full(4000, 0.5), "b": jnp.asarray([2.4, -3.0])}
    updates = {"a": jnp.full(4000, 0.1), "b": jnp.asarray([7.0, 0.0])}

    @jax.jit
    def moved(state):
        with jax.numpy_dtype_promotion("standard"):
            change, state = optimizer.update(updates, state, params)
            return optax.apply_updates(params, change), state

    new, state = moved(optimizer.init(params))
    np.testing.assert_allclose(new["b"], [2.5, -1.0])
    assert set(np.unique(np.asarray(new["a"]))) == {0.5, 1.0}
    # A fifth of them moves by a level of 0.5: six standard errors are 0.019.
    np.testing.assert_allclose(np.mean(np.asarray(new["a"])), 0.6, atol=0.019)
    assert not np.array_equal(moved(state)[0]["a"], new["a"])


def test_levels_are_checked():
    with pytest.raises(ValueError, match="bits=0"):
        quantized_update(0, 0.0, 1.0)
    with pytest.raises(ValueError, match=r"low=1.0, high=1.0"):
        quantized_update(7, 1.0, 1.0)
    optimizer = quantized_update(7, 0.0, 1.0)
    with pytest.raises(ValueError, match="pass `params`"):
        optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))


@pytest.fixture
def rectifier():
    return ResistorNetwork(
        4,
        [(0, 1), (2, 3), (1, 3)],
        jnp.asarray([1e-3, 2e-3, 1e-5]),
        inputs=[0],
        fixed={3: 0.0},
        outputs=[2],
        diodes=[ExponentialDiode(1, 2)],
    )


def test_circuit_is_drawn_with_its_voltages_and_conductances(rectifier):
    fig = plots.circuit(rectifier, np.asarray([2.0]))
    ax = fig.axes[0]
    (lines,) = [c for c in ax.collections if c.get_gid() == "edges"]
    widths = lines.get_linewidths()
    assert len(widths) == 3 and widths[1] == 2 * widths[0]
    shown = np.concatenate([c.get_array() for c in ax.collections[1:]])
    state = eqx.filter_jit(rectifier.relax)(
        rectifier.initial_state(jnp.asarray([2.0])), jnp.asarray([2.0]), None
    )
    voltages = rectifier.node_voltages(state, jnp.asarray([2.0]))
    np.testing.assert_allclose(np.sort(shown), np.sort(voltages), atol=1e-12)
    with pytest.raises(ValueError, match=r"positions.*\(4, 2\)"):
        plots.circuit(rectifier, np.asarray([2.0]), np.zeros((3, 2)))


def test_range_is_that_of_the_potentiometer():
    np.testing.assert_allclose((HIGH - LOW) / 127, LOW, rtol=1e-12)
