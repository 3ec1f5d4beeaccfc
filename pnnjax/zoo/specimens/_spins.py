"""Units that settle where an energy is least."""

import jax
from jaxtyping import PRNGKeyArray

from ... import spins
from ._numbers import Specimen, settled


def hopfield(key: PRNGKeyArray) -> Specimen:
    """A layered network of sigmoid units, which settles."""
    return (
        spins.HopfieldNetwork(
            (3, 3, 2), key=key, activation=spins.Sigmoid(), relaxation=settled()
        ),
        jax.random.uniform(key, (3, 3)),
    )


def hopfield_maps(key: PRNGKeyArray) -> Specimen:
    """Two feature maps and a dense layer, which settle together."""
    return (
        spins.HopfieldNetwork(
            _maps(key), activation=spins.Sigmoid(), relaxation=settled()
        ),
        jax.random.uniform(key, (3, 3, 3, 1)),
    )


def hopfield_full(key: PRNGKeyArray) -> Specimen:
    """A network in which every unit is coupled to every other."""
    return (
        spins.FullyConnectedHopfield.random(
            3, 5, 2, key=key, activation=spins.Tanh(), relaxation=settled()
        ),
        jax.random.normal(key, (3, 3)),
    )


def hopfield_asymmetric(key: PRNGKeyArray) -> Specimen:
    """A layered network whose couplings differ by direction."""
    return (
        spins.AsymmetricNetwork(
            (3, 3, 2),
            key=key,
            activation=spins.Tanh(),
            relaxation=settled(),
            rate=0.5,
        ),
        jax.random.normal(key, (3, 3)),
    )


def _maps(key):
    """3 x 3 pixels to two feature maps, pooled smoothly, to two units."""
    lower, upper = jax.random.split(key)
    pool = spins.SoftmaxPool(2)
    coupling = spins.ConvolutionalCoupling.random((3, 3, 1), 2, 2, key=lower, pool=pool)
    return coupling, spins.DenseCoupling.random(coupling.above, 2, key=upper)
