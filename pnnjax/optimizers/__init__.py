"""Updates that respect what the hardware can be set to, as `optax` transformations."""

from ._quantized_update import (
    QuantizedUpdateState as QuantizedUpdateState,
    quantized_update as quantized_update,
)
