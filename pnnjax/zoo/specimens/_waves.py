"""What moves: trusses, pendula, membranes, waves in a plate."""

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from ... import integrators, waves
from ._numbers import Specimen


def springs(key: PRNGKeyArray) -> Specimen:
    """A truss of five springs, pulled and read."""
    return _truss(), 0.04 * jax.random.normal(key, (3, 2))


def pendula(key: PRNGKeyArray) -> Specimen:
    """Four coupled pendula, kicked and read."""
    return (
        waves.CoupledPendula(4, key=key, inputs=3, outputs=2, steps=2),
        jax.random.normal(key, (3, 3)),
    )


def pendula_canonical(key: PRNGKeyArray) -> Specimen:
    """Four coupled pendula whose motion runs backwards as well."""
    return (
        waves.CanonicalPendula(
            4, key=key, inputs=3, outputs=2, splitting=integrators.Splitting(1.0, 4)
        ),
        jax.random.normal(key, (3, 3)),
    )


def time_floquet(key: PRNGKeyArray) -> Specimen:
    """Two resonators whose tones the input modulates; harmonics out."""
    return (
        waves.TimeFloquet(2, key=key, harmonics=2, depth=1e5),
        jax.random.normal(key, (3, 2)),
    )


def membranes(key: PRNGKeyArray) -> Specimen:
    """Three membranes between a loudspeaker and microphones."""
    return (
        waves.Membranes(3, 4, 2, key=key),
        jax.random.normal(key, (3, 4)),
    )


def wave(key: PRNGKeyArray) -> Specimen:
    """Waves in a plate whose speed is trained, 10 × 12 points."""
    return _wave_plate(), jax.random.normal(key, (3, 8))


def _truss():
    return waves.ElasticNetwork(
        np.asarray([[0.0, 0.0], [1.0, 0.0], [0.4, 0.8], [1.5, 0.9]]),
        [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)],
        fixed=[0, (1, 1)],
        forced=[(3, 1)],
        moved=[(1, 0)],
        outputs=[(3, 0), (2, 1)],
        stiffness=2.0,
        window=(1.0, 4.0),
    )


def _wave_plate():
    return waves.WaveEquation2D(
        (10, 12),
        pitch=1.0,
        step=0.6,
        speeds=(1.0, 0.6),
        sources=((5, 2),),
        probes=((3, 6), (6, 6)),
        damping=waves.absorbing_profile((10, 12), 2, 0.5),
        sharpness=5.0,
        saturable=(0.2, 0.5),
    )
