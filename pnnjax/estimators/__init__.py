"""How gradients are obtained: one rule a file."""

from ._autodiff import Autodiff as Autodiff
from ._coherent_receiver import CoherentReceiver as CoherentReceiver
from ._contrastive_hebbian import ContrastiveHebbian as ContrastiveHebbian
from ._coupled_learning import CoupledLearning as CoupledLearning
from ._equilibrium_propagation import (
    EquilibriumPropagation as EquilibriumPropagation,
)
from ._frequency_propagation import FrequencyPropagation as FrequencyPropagation
from ._fully_forward import FullyForward as FullyForward
from ._hamiltonian_echo import HamiltonianEcho as HamiltonianEcho
from ._holomorphic_ep import HolomorphicEP as HolomorphicEP
from ._implicit_differentiation import (
    ImplicitDifferentiation as ImplicitDifferentiation,
)
from ._in_situ import InSituBackprop as InSituBackprop
from ._nonlinear_scattering_backprop import (
    NonlinearScatteringBackprop as NonlinearScatteringBackprop,
)
from ._optical_backprop import OpticalBackprop as OpticalBackprop
from ._physics_aware import PhysicsAware as PhysicsAware
from ._random_sign_ep import RandomSignEP as RandomSignEP
from ._same_device_adjoint import SameDeviceAdjoint as SameDeviceAdjoint
from ._scattering_backprop import ScatteringBackprop as ScatteringBackprop
from ._tap_detector import TapDetector as TapDetector
from ._vector_field_ep import VectorFieldEP as VectorFieldEP
