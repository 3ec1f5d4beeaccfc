"""Estimators, with numbers that suit the small layers here."""

from typing import Any

import jax
from jaxtyping import Array, PRNGKeyArray

from ... import estimators
from ..._estimator import AbstractEstimator
from ..._layer import respond


def the_layer_itself(layer: Any, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
    """A device that is just like its model."""
    return jax.lax.stop_gradient(respond(layer, x, key))


def autodiff(layer: Any) -> AbstractEstimator:
    """Backpropagation through the model."""
    del layer
    return estimators.Autodiff()


def physics_aware(layer: Any) -> AbstractEstimator:
    """The device's output, and the model's derivative."""
    del layer
    return estimators.PhysicsAware(the_layer_itself)


def in_situ(layer: Any) -> AbstractEstimator:
    """Phase gradients from three measured intensities."""
    del layer
    return estimators.InSituBackprop()


def in_situ_toggled(layer: Any) -> AbstractEstimator:
    """Phase gradients from two intensities, the error's sign toggled."""
    del layer
    return estimators.InSituBackprop(toggled=True)


def fully_forward(layer: Any) -> AbstractEstimator:
    """The error sent forwards, through the same system."""
    del layer
    return estimators.FullyForward()


def optical_backprop(layer: Any) -> AbstractEstimator:
    """The error sent back as a weak probe."""
    del layer
    return estimators.OpticalBackprop()


def scattering(layer: Any) -> AbstractEstimator:
    """Products of measured elements of the scattering matrix."""
    del layer
    return estimators.ScatteringBackprop()


def scattering_nonlinear(layer: Any) -> AbstractEstimator:
    """The response of nonlinear modes to a small error at their ports."""
    del layer
    return estimators.NonlinearScatteringBackprop(1e-4)


def implicit(layer: Any) -> AbstractEstimator:
    """Implicit differentiation of the settled state."""
    del layer
    return estimators.ImplicitDifferentiation()


def ep(layer: Any) -> AbstractEstimator:
    """Equilibrium propagation, nudged both ways."""
    del layer
    return estimators.EquilibriumPropagation(0.05)


def ep_one_sided(layer: Any) -> AbstractEstimator:
    """Equilibrium propagation, nudged one way."""
    del layer
    return estimators.EquilibriumPropagation(0.05, False)


def ep_random_sign(layer: Any) -> AbstractEstimator:
    """Equilibrium propagation, nudged one way, drawn each time."""
    del layer
    return estimators.RandomSignEP(0.05)


def ep_holomorphic(layer: Any) -> AbstractEstimator:
    """Equilibrium propagation with nudges on a complex circle."""
    del layer
    return estimators.HolomorphicEP(0.1, 4)


def ep_vector_field(layer: Any) -> AbstractEstimator:
    """Equilibrium propagation of forces that have no energy."""
    del layer
    return estimators.VectorFieldEP(0.05)


def frequency(layer: Any) -> AbstractEstimator:
    """The error as a slow ripple, told by its frequency."""
    del layer
    return estimators.FrequencyPropagation(0.05)


def coupled(layer: Any) -> AbstractEstimator:
    """Coupled learning: the outputs are held nearer the target."""
    del layer
    return estimators.CoupledLearning(1e-4)


def transposed_read(layer: Any) -> AbstractEstimator:
    """The error read from the other side of the array."""
    del layer
    return estimators.TransposedRead()


def same_device(layer: Any) -> AbstractEstimator:
    """The error played backwards in time into the same system."""
    del layer
    return estimators.SameDeviceAdjoint()


def echo(layer: Any) -> AbstractEstimator:
    """Hamiltonian echo, kicked both ways."""
    del layer
    return estimators.HamiltonianEcho(0.02)


def echo_one_sided(layer: Any) -> AbstractEstimator:
    """Hamiltonian echo, kicked one way."""
    del layer
    return estimators.HamiltonianEcho(0.02, False)


def contrastive_hebbian(layer: Any) -> AbstractEstimator:
    """Contrastive Hebbian learning: the outputs are held at the target."""
    del layer
    return estimators.ContrastiveHebbian()


def feedback_alignment(layer: Any) -> AbstractEstimator:
    """The error sent back through fixed random matrices."""
    del layer
    return estimators.FeedbackAlignment(
        estimators.RandomFeedback(key=jax.random.key(0))
    )


def direct_feedback(layer: Any) -> AbstractEstimator:
    """The output's error sent to each layer by a random matrix."""
    del layer
    return estimators.DirectFeedbackAlignment(
        estimators.RandomFeedback(key=jax.random.key(0))
    )


def finite_difference(layer: Any) -> AbstractEstimator:
    """Every parameter moved on its own, both ways."""
    del layer
    return estimators.FiniteDifference(0.01, scales=estimators.typical_sizes)


def spsa(layer: Any) -> AbstractEstimator:
    """All parameters moved at once, in one random direction."""
    del layer
    return estimators.SPSA(1e-4, scales=estimators.typical_sizes)


def multiplexed(layer: Any) -> AbstractEstimator:
    """All parameters wiggled by orthogonal codes."""
    del layer
    return estimators.MultiplexedGradientDescent(
        estimators.WalshCode(), 0.01, scales=estimators.typical_sizes
    )


def parameter_shift(layer: Any) -> AbstractEstimator:
    """Every phase shifted by a quarter turn, both ways."""
    del layer
    return estimators.ParameterShift()
