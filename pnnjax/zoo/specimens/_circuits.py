"""Currents: resistors, capacitors, diodes, memory cells."""

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ... import circuits
from ._numbers import Specimen, settled


def resistors(key: PRNGKeyArray) -> Specimen:
    """Six nodes, eight conductances and two soft junctions."""
    return _resistors(), jax.random.normal(key, (3, 2))


def rc(key: PRNGKeyArray) -> Specimen:
    """A ladder of resistors and capacitors, driven in time."""
    return (
        circuits.RCNetwork(
            [(0, 1), (1, 2), (2, None)],
            jnp.asarray([0.5, 1.0, 1.5]),
            jnp.asarray([1.0, 2.0, 1.5]),
            inputs=[0, 1],
            outputs=[2, (0, 1)],
            step=0.3,
        ),
        jax.random.normal(key, (3, 6, 2)),
    )


def deep_resistive(key: PRNGKeyArray) -> Specimen:
    """Layers of conductances and diodes, with amplifiers between."""
    return (
        circuits.DeepResistiveNetwork(
            (2, 3, 2),
            key=key,
            gain=2.0,
            window=(0.05, 2.0),
            relaxation=settled(),
        ),
        jax.random.normal(key, (3, 2)),
    )


def crossbar(key: PRNGKeyArray) -> Specimen:
    """A crossbar of conductances, in pairs, with a bias."""
    return (
        circuits.Crossbar(4, 3, key=key, use_bias=True),
        jax.random.normal(key, (2, 3, 4)),
    )


def crossbar_lines(key: PRNGKeyArray) -> Specimen:
    """A crossbar whose lines have resistance."""
    return (
        circuits.Crossbar(4, 3, key=key, wires=circuits.LineResistance(800.0, 500.0)),
        jax.random.normal(key, (3, 4)),
    )


def _resistors():
    """Six nodes with two soft junctions."""
    edges = [(0, 3), (1, 3), (1, 4), (2, 4), (3, 5), (4, 5), (2, 5), (0, 4)]
    soft = {"saturation_current": 0.1, "ideality": 20.0}
    return circuits.ResistorNetwork(
        6,
        edges,
        jnp.linspace(0.5, 1.5, 8),
        inputs=[0, 1],
        fixed={2: 0.0},
        outputs=[4, (3, 5)],
        diodes=[
            circuits.ExponentialDiode(3, 2, **soft),
            circuits.ExponentialDiode(4, 5, **soft),
        ],
    )
