"""Oscillators: phases, amplitudes, reservoirs."""

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ... import integrators, oscillators
from ._numbers import Specimen, field, settled


def kuramoto(key: PRNGKeyArray) -> Specimen:
    """Layers of oscillators that pull on each other's phases."""
    return (
        oscillators.Kuramoto(
            (3, 4, 2),
            key=key,
            scale=0.5,
            pinning=2.0,
            relaxation=settled(),
        ),
        jax.random.normal(key, (3, 3)),
    )


def lattice(key: PRNGKeyArray) -> Specimen:
    """Three nonlinear modes that hop: a conservative lattice."""
    return (
        oscillators.NonlinearLattice(
            3, key=key, splitting=integrators.Splitting(1.0, 4)
        ),
        jax.random.normal(key, (3, 3)),
    )


def duffing(key: PRNGKeyArray) -> Specimen:
    """Two Duffing oscillators, driven in time."""
    return (
        oscillators.DuffingLattice(
            2, key=key, splitting=integrators.Splitting(1.0, 4, readings=2)
        ),
        jax.random.normal(key, (3, 2, 2)),
    )


def delay_reservoir(key: PRNGKeyArray) -> Specimen:
    """One nonlinear node, its delayed loop, and a trained mask."""
    return (
        oscillators.DelayReservoir(
            oscillators.IkedaNode(0.9),
            oscillators.uniform_mask(3, 2, key=key),
            delay=1e-6,
            response=oscillators.LowPass(0.3e-6),
            train_mask=True,
        ),
        jax.random.normal(key, (3, 4, 2)),
    )


def polaritons(key: PRNGKeyArray) -> Specimen:
    """Two polariton condensates, which interact."""
    return (
        oscillators.PolaritonNetwork(
            2, key=key, splitting=integrators.Splitting(1.0, 4)
        ),
        jax.random.normal(key, (3, 2, 2)),
    )


def spin_torque(key: PRNGKeyArray) -> Specimen:
    """Two coupled spin-torque oscillators, driven in frequency."""
    return (
        oscillators.SpinTorqueOscillators(
            jnp.asarray([1.5, 2.5]),
            jnp.asarray([1.0, 1.3]),
            damping=0.5,
            nonlinear_damping=0.5,
            shift=1.0,
            force=0.3,
            step=0.3,
            settle=4,
            measure=4,
            coupling=0.1 * field(key, 2, 2),
        ),
        1.0 + jax.random.uniform(key, (3, 2)),
    )


def spin_torque_reservoir(key: PRNGKeyArray) -> Specimen:
    """Three spin-torque nodes as a reservoir."""
    return (
        oscillators.SpinTorqueReservoir(
            0.2 * jax.random.normal(key, (3, 1)),
            0.5,
            damping=0.5,
            nonlinear_damping=0.5,
        ),
        jax.random.normal(key, (3, 2, 1)),
    )


def echo_state(key: PRNGKeyArray) -> Specimen:
    """A random recurrent reservoir of five leaky units."""
    return (
        oscillators.EchoStateNetwork(2, 5, key=key, leak=0.7, bias=0.2, degree=2),
        jax.random.normal(key, (3, 4, 2)),
    )
