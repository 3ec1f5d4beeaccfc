"""selflearning-machine, and the machine itself: drift against gradient."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.integrators import Splitting
from pnnjax.oscillators import NonlinearLattice, SelfLearningMachine
from pnnjax.zoo._echo_lattice import EchoLattice
from pnnjax.zoo._selflearning_machine import PROBE, SelfLearning, Task, lesson, teach

KEY = jax.random.key(2)
RATE = 0.1


def cost(y, targets):
    return jnp.sum((y - targets) ** 2)


def small(splitting=Splitting(2.0, 8)):
    return NonlinearLattice(2, key=KEY, splitting=splitting)


@eqx.filter_jit
def echo(layer, x, targets, numbers, centered):
    """The machine before the decay, and the gradient. The numbers can vary."""
    epsilon, mass, loss_rate = numbers
    machine = SelfLearningMachine(
        layer, mass=1.0, decay_time=1.0, epsilon=1.0, centered=centered
    )
    machine = eqx.tree_at(
        lambda m: (m.mass, m.epsilon, m.layer.loss_rate),
        machine,
        (mass, epsilon, loss_rate),
    )
    slope = eqx.filter_grad(lambda layer: cost(layer(x), targets))(machine.layer)
    return machine.echo(x, targets, cost)[0], slope


def drift_error(epsilon, mass, loss_rate=0.0, centered=False):
    """Of a lesson's drift, against the gradient times the learning rate."""
    layer, x = small(), 0.5 * jax.random.normal(KEY, (4, 2))
    numbers = [jnp.asarray(n) for n in (epsilon, mass, loss_rate)]
    end, slope = echo(layer, x, jnp.abs(x), numbers, centered)
    decay = RATE / epsilon / (1 + centered)
    leaves = lambda tree: np.concatenate([tree.frequency, tree.coupling])  # noqa: E731
    drift = leaves(end.parameters) + decay * leaves(end.momenta) - leaves(layer)
    wanted = -RATE * leaves(slope)
    return np.linalg.norm(drift - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize(("centered", "order"), [(False, 1), (True, 2)])
def test_the_drift_is_a_step_down_the_gradient(centered, order):
    """To that order in epsilon, and to first order in the inverse mass."""
    light = [drift_error(1e-5, mass, 0.0, centered) for mass in (1e2, 2e2)]
    assert light[0] / light[1] == pytest.approx(2, rel=0.05)
    weak = [drift_error(epsilon, 1e12, 0.0, centered) for epsilon in (2e-2, 1e-2)]
    assert weak[0] / weak[1] == pytest.approx(2**order, rel=0.05)
    assert drift_error(1e-3, 1e12, 0.0, centered) < (3e-3 if order == 1 else 1e-6)


def test_without_an_error_signal_everything_returns():
    layer, x = small(), 0.5 * jax.random.normal(KEY, (4, 2))
    numbers = [jnp.asarray(n) for n in (1e-30, 5.0, 0.0)]
    end = echo(layer, x, jnp.abs(x), numbers, False)[0].reversed()
    for there, begin in zip(end.fields, layer.initial_state(x), strict=True):
        np.testing.assert_allclose(there, begin, atol=1e-13)
    np.testing.assert_allclose(end.parameters.coupling, layer.coupling, atol=1e-14)
    np.testing.assert_allclose(end.momenta.coupling, 0, atol=1e-13)


@pytest.mark.slow
def test_loss_spoils_one_echo_at_once_and_two_of_both_signs_slowly():
    """What one forward run does, a weaker echo can't undo; two echoes compare."""
    errors = [drift_error(1e-3, 1e12, 0.05, c) for c in (False, True)]
    assert errors[0] > 3 and errors[1] < 0.15


@pytest.mark.slow
def test_lessons_teach_exclusive_or():
    with jax.enable_x64(False):
        lattice = EchoLattice(steps=3).chain(key=jax.random.key(4))
        task = Task(pnn.data.xor(80), lambda y: y, 20.0)
        machine = SelfLearning().machine(lattice, 0.005)
        assert machine.learning_rate == pytest.approx(0.005)
        machine, history = teach(machine, task, epochs=20, batch_size=16, key=KEY)
        x, labels = (jnp.asarray(a[:PROBE]) for a in task.data[:2])
        drift, step = lesson(machine, x, labels, task.cost)
    assert history.final()["accuracy"] == 1.0
    assert history.loss[-4:].mean() < 0.1 * history.loss[:4].mean()
    assert history.metrics["cosine"][0] > 0.99
    fig = pnn.plots.learning_drift(drift.coupling, step.coupling)
    assert fig.axes[0].get_title().startswith("cosine 0.9")
    with pytest.raises(ValueError, match="not all zero"):
        pnn.plots.learning_drift(np.zeros(3), np.ones(3))


def test_what_can_not_learn_is_refused():
    with pytest.raises(TypeError, match="no Hamiltonian"):
        SelfLearningMachine(pnn.optics.MZIMesh(2, key=KEY), mass=1.0, decay_time=1.0)
    with pytest.raises(ValueError, match="read 2 times"):
        SelfLearningMachine(
            small(Splitting(1.0, 4, readings=2)), mass=1.0, decay_time=1.0
        )
    with pytest.raises(ValueError, match="`mass` must be positive"):
        SelfLearningMachine(small(), mass=0.0, decay_time=1.0)


@pytest.mark.slow
def test_selflearning_machine_reaches_its_accuracy():
    with jax.enable_x64(False):
        runs = [
            SelfLearning().run(seed=s, checkpoint=None, resume=False, progress=False)
            for s in range(3)
        ]
    assert np.mean([run.value for run in runs]) >= 0.945
    assert all(run.table["cosine"][1] > 0.98 for run in runs)
