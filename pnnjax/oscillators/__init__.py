"""Coupled oscillators."""

from ._duffing_lattice import DuffingLattice as DuffingLattice
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
from ._polariton_network import PolaritonNetwork as PolaritonNetwork
from ._self_learning import SelfLearningMachine as SelfLearningMachine
from ._xy import xy_energy as xy_energy, xy_torque as xy_torque
