from ._electro_optic import (
    ElectroOpticActivation as ElectroOpticActivation,
    electro_optic as electro_optic,
)
from ._intensity import Intensity as Intensity, intensity as intensity
from ._mod_relu import ModReLU as ModReLU, mod_relu as mod_relu
from ._saturable_absorber import (
    SaturableAbsorber as SaturableAbsorber,
    saturated_transmission as saturated_transmission,
)
