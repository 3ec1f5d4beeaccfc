"""Updates that respect what the hardware can be set to, as `optax` transformations."""

from ._evolution import evolution as evolution
from ._multiplexed import multiplexed_gradient_descent as multiplexed_gradient_descent
from ._pulsed_update import (
    PulsedUpdateState as PulsedUpdateState,
    pulsed_update as pulsed_update,
)
from ._quantized_update import (
    QuantizedUpdateState as QuantizedUpdateState,
    quantized_update as quantized_update,
)
from ._spsa import spsa as spsa
