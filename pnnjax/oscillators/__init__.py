"""Coupled oscillators."""

from ._exchange import (
    chain_bonds as chain_bonds,
    grid_bonds as grid_bonds,
    hypercube_bonds as hypercube_bonds,
    ring_bonds as ring_bonds,
)
from ._kuramoto import Kuramoto as Kuramoto
from ._nonlinear_lattice import (
    NonlinearLattice as NonlinearLattice,
    amplitudes as amplitudes,
    intensities as intensities,
)
from ._xy import xy_energy as xy_energy, xy_torque as xy_torque
