"""echo-lattice: what the README says of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.zoo._echo_lattice import (
    CLASSES,
    EchoLattice,
    class_intensities,
    loss_bias,
    there_and_back,
)

SHORT = EchoLattice(xor_epochs=12, steps=3)


def chain(seed=1):
    """The lattice of exclusive or, some points, and the loss's cotangent."""
    lattice, points = SHORT.chain(key=jax.random.key(seed)), pnn.data.xor()
    x, labels = jnp.asarray(points.train_x[:16]), jnp.asarray(points.train_y[:16])
    objective = pnn.objectives.PowerSoftmax(20.0)
    return lattice, x, labels, lambda y, t: jax.grad(lambda y: objective(y, t))(y)


@pytest.mark.slow
def test_echoes_alone_teach_exclusive_or():
    with jax.enable_x64(False):
        result = SHORT.learn(
            pnn.Physical(chain(seed=3)[0], SHORT.estimator()),
            pnn.data.xor(),
            epochs=SHORT.xor_epochs,
            batch_size=20,
            key=jax.random.key(0),
            checkpoint=None,
            resume=False,
            progress=False,
        )
    assert result.history.final()["accuracy"] == 1.0
    assert result.history.loss[-3:].mean() < 0.2 * result.history.loss[:3].mean()


def test_only_the_hamiltonian_of_128_sites_is_trained():
    model = EchoLattice().classifier(key=jax.random.key(0))
    leaves = eqx.filter(model, pnn.is_trainable(model))
    assert [leaf.shape for leaf in jax.tree.leaves(leaves)] == [(128,), (448,)]
    assert isinstance(model[0].estimator, pnn.estimators.HamiltonianEcho)
    x = jax.ShapeDtypeStruct((5, 64), jnp.float64)
    assert jax.eval_shape(jax.vmap(model), x).shape == (5, CLASSES)


@pytest.mark.slow
def test_an_echo_is_the_mirror_image_but_for_the_error_signal():
    with jax.enable_x64(False):
        lattice, x, labels, error = chain()
        y_bar = error(lattice(x), labels)
        forward, echo = there_and_back(lattice, x, y_bar, 1e-6)
        _, kicked = there_and_back(lattice, x, y_bar, 0.1)
    np.testing.assert_allclose(echo[::-1], forward, atol=2e-5)
    assert np.max(np.abs(kicked[::-1] - forward)) > 1e-2
    fig = pnn.plots.echo_course(forward[:, 0], kicked[:, 0], 3.0, "a point")
    assert fig.axes[0].get_title() == "a point"
    with pytest.raises(ValueError, match="one shape"):
        pnn.plots.echo_course(forward[:, 0], kicked[1:, 0], 3.0)


@pytest.mark.slow
def test_loss_turns_the_echo_away_from_the_gradient():
    with jax.enable_x64(False):
        lattice, x, labels, error = chain()
        rates = np.asarray([1e-4, 0.1, 1.0])
        cosines, lengths = loss_bias(lattice, x, labels, error, 0.02, rates)
    assert cosines[0] > 0.999 and abs(lengths[0] - 1) < 0.01
    assert np.all(np.diff(cosines) < 0) and np.all(np.diff(lengths) < 0)


def test_images_have_one_length_and_classes_their_sites():
    data = EchoLattice(amplitude=1.5).digits()
    np.testing.assert_allclose(np.linalg.norm(data.test_x, axis=1), 1.5, rtol=1e-5)
    assert data.train_x.shape == (7185, 64)
    y = jnp.arange(60.0)
    np.testing.assert_array_equal(class_intensities(y)[0], 15)
    assert class_intensities(y).shape == (CLASSES,)


@pytest.mark.slow
def test_echo_lattice_reaches_its_accuracy():
    with jax.enable_x64(False):
        runs = [
            EchoLattice().run(seed=s, checkpoint=None, resume=False, progress=False)
            for s in range(3)
        ]
    assert np.mean([run.value for run in runs]) >= 0.95
    assert all(run.table["accuracy"][0] == 1.0 for run in runs)
