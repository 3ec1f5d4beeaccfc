"""How gradients are obtained: one rule a file."""

from ._autodiff import Autodiff as Autodiff
from ._codes import (
    AbstractCode as AbstractCode,
    RandomCode as RandomCode,
    SequentialCode as SequentialCode,
    SinusoidalCode as SinusoidalCode,
    WalshCode as WalshCode,
)
from ._coherent_receiver import CoherentReceiver as CoherentReceiver
from ._contrastive_hebbian import ContrastiveHebbian as ContrastiveHebbian
from ._coupled_learning import CoupledLearning as CoupledLearning
from ._direct_feedback_alignment import (
    DirectFeedbackAlignment as DirectFeedbackAlignment,
)
from ._equilibrium_propagation import (
    EquilibriumPropagation as EquilibriumPropagation,
)
from ._feedback import (
    AbstractFeedback as AbstractFeedback,
    GivenFeedback as GivenFeedback,
    RandomFeedback as RandomFeedback,
    RedrawnFeedback as RedrawnFeedback,
    SharedFeedback as SharedFeedback,
)
from ._feedback_alignment import FeedbackAlignment as FeedbackAlignment
from ._finite_difference import FiniteDifference as FiniteDifference
from ._frequency_propagation import FrequencyPropagation as FrequencyPropagation
from ._fully_forward import FullyForward as FullyForward
from ._hamiltonian_echo import HamiltonianEcho as HamiltonianEcho
from ._holomorphic_ep import HolomorphicEP as HolomorphicEP
from ._implicit_differentiation import (
    ImplicitDifferentiation as ImplicitDifferentiation,
)
from ._in_situ import InSituBackprop as InSituBackprop
from ._knobs import own_units as own_units, typical_sizes as typical_sizes
from ._multiplexed_gradient_descent import (
    MultiplexedGradientDescent as MultiplexedGradientDescent,
)
from ._nonlinear_scattering_backprop import (
    NonlinearScatteringBackprop as NonlinearScatteringBackprop,
)
from ._optical_backprop import OpticalBackprop as OpticalBackprop
from ._parameter_shift import ParameterShift as ParameterShift
from ._physical_feedback import (
    GaussianReceiver as GaussianReceiver,
    PhysicalFeedback as PhysicalFeedback,
)
from ._physics_aware import PhysicsAware as PhysicsAware
from ._random_sign_ep import RandomSignEP as RandomSignEP
from ._same_device_adjoint import SameDeviceAdjoint as SameDeviceAdjoint
from ._scattering_backprop import ScatteringBackprop as ScatteringBackprop
from ._sign_feedback import (
    FixedMagnitudes as FixedMagnitudes,
    RedrawnMagnitudes as RedrawnMagnitudes,
    SignFeedback as SignFeedback,
    UniformMagnitudes as UniformMagnitudes,
)
from ._spsa import SPSA as SPSA
from ._tap_detector import TapDetector as TapDetector
from ._ternary_error import TernaryError as TernaryError
from ._transposed_read import TransposedRead as TransposedRead
from ._vector_field_ep import VectorFieldEP as VectorFieldEP
