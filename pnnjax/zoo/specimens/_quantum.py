"""Qubits."""

import jax
from jaxtyping import PRNGKeyArray

from ...quantum import VariationalCircuit
from ._numbers import Specimen


def quantum(key: PRNGKeyArray) -> Specimen:
    """A variational circuit of three qubits, two layers."""
    return (
        VariationalCircuit(3, 2, key=key),
        jax.random.normal(key, (3, 3)),
    )
