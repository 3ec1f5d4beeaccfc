"""Coupled spins: Hopfield networks and Ising machines."""

from ._couplings import (
    AbstractCouplings as AbstractCouplings,
    DenseCouplings as DenseCouplings,
    SparseCouplings as SparseCouplings,
)
from ._hopfield_couplings import (
    AbstractCoupling as AbstractCoupling,
    DenseCoupling as DenseCoupling,
)
from ._ising import IsingProblem as IsingProblem, ising_energy as ising_energy
from ._solver import AbstractIsingSolver as AbstractIsingSolver
