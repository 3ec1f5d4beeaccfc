"""Coupled spins: Hopfield networks and Ising machines."""

from ._activation import (
    AbstractActivation as AbstractActivation,
    HardSigmoid as HardSigmoid,
    Sigmoid as Sigmoid,
    Tanh as Tanh,
)
from ._convolution import ConvolutionalCoupling as ConvolutionalCoupling
from ._couplings import (
    AbstractCouplings as AbstractCouplings,
    DenseCouplings as DenseCouplings,
    SparseCouplings as SparseCouplings,
)
from ._hopfield import HopfieldNetwork as HopfieldNetwork
from ._hopfield_couplings import (
    AbstractCoupling as AbstractCoupling,
    DenseCoupling as DenseCoupling,
)
from ._ising import IsingProblem as IsingProblem, ising_energy as ising_energy
from ._ising_machine import IsingMachine as IsingMachine
from ._pooling import (
    AbstractPooling as AbstractPooling,
    AveragePool as AveragePool,
    MaxPool as MaxPool,
    SoftmaxPool as SoftmaxPool,
)
from ._solver import AbstractIsingSolver as AbstractIsingSolver
