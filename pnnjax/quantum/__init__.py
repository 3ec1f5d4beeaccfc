"""Qubits: circuits with trained angles, simulated by their state."""

from ._variational_circuit import (
    AbstractEntangler as AbstractEntangler,
    ControlledNot as ControlledNot,
    ControlledZ as ControlledZ,
    VariationalCircuit as VariationalCircuit,
)
