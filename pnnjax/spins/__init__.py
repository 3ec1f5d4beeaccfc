"""Coupled spins: Hopfield networks and Ising machines."""

from ._activation import (
    AbstractActivation as AbstractActivation,
    HardSigmoid as HardSigmoid,
    Sigmoid as Sigmoid,
    Tanh as Tanh,
)
from ._associative_memory import (
    AssociativeMemory as AssociativeMemory,
    capacity_curve as capacity_curve,
    corrupt as corrupt,
    critical_load as critical_load,
    hebbian as hebbian,
    mean_field_overlap as mean_field_overlap,
    overlap as overlap,
    pseudo_inverse as pseudo_inverse,
    zero_temperature as zero_temperature,
)
from ._asymmetric import AsymmetricNetwork as AsymmetricNetwork
from ._cavity_memory import (
    CavityAssociativeMemory as CavityAssociativeMemory,
    EncodedMemory as EncodedMemory,
    confocal_couplings as confocal_couplings,
    steepest_descent as steepest_descent,
)
from ._coherent_ising import CoherentIsing as CoherentIsing
from ._convolution import ConvolutionalCoupling as ConvolutionalCoupling
from ._coupling_matrix import (
    AbstractCouplingMatrix as AbstractCouplingMatrix,
    DenseCouplingMatrix as DenseCouplingMatrix,
    SparseCouplingMatrix as SparseCouplingMatrix,
)
from ._fully_connected import FullyConnectedHopfield as FullyConnectedHopfield
from ._hopfield import HopfieldNetwork as HopfieldNetwork
from ._hopfield_couplings import (
    AbstractCoupling as AbstractCoupling,
    DenseCoupling as DenseCoupling,
)
from ._ising import IsingProblem as IsingProblem, ising_energy as ising_energy
from ._ising_machine import IsingMachine as IsingMachine
from ._maxcut import (
    AbstractGraph as AbstractGraph,
    Cut as Cut,
    cut_value as cut_value,
    maxcut as maxcut,
    maxcut_problem as maxcut_problem,
)
from ._pooling import (
    AbstractPooling as AbstractPooling,
    AveragePool as AveragePool,
    MaxPool as MaxPool,
    SoftmaxPool as SoftmaxPool,
)
from ._probabilistic_bits import (
    AbstractBit as AbstractBit,
    IdealBit as IdealBit,
    ProbabilisticBits as ProbabilisticBits,
    TunnelJunction as TunnelJunction,
)
from ._simulated_annealing import (
    SimulatedAnnealing as SimulatedAnnealing,
    anneal as anneal,
    field_scale as field_scale,
    metropolis as metropolis,
)
from ._simulated_bifurcation import (
    SimulatedBifurcation as SimulatedBifurcation,
    bifurcation_energy as bifurcation_energy,
    bifurcation_step as bifurcation_step,
)
from ._solver import AbstractIsingSolver as AbstractIsingSolver
from ._spatial_photonic_ising import (
    Camera as Camera,
    MattisSum as MattisSum,
    SpatialPhotonicIsing as SpatialPhotonicIsing,
    mattis_brightness as mattis_brightness,
    mattis_sum as mattis_sum,
)
