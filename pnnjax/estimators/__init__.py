"""How gradients are obtained: one rule a file."""

from ._autodiff import Autodiff as Autodiff
from ._fully_forward import FullyForward as FullyForward
from ._in_situ import InSituBackprop as InSituBackprop
from ._optical_backprop import OpticalBackprop as OpticalBackprop
from ._physics_aware import PhysicsAware as PhysicsAware
from ._tap_detector import TapDetector as TapDetector
