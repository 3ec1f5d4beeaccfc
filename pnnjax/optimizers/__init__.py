"""Updates that respect what the hardware can be set to, as `optax` transformations."""

from ._evolution import evolution as evolution
from ._mixed_precision import (
    MixedPrecisionState as MixedPrecisionState,
    mixed_precision as mixed_precision,
)
from ._multiplexed import multiplexed_gradient_descent as multiplexed_gradient_descent
from ._program_and_verify import program_and_verify as program_and_verify
from ._pulsed_update import (
    PulsedUpdateState as PulsedUpdateState,
    pulsed_update as pulsed_update,
)
from ._quantized_update import (
    QuantizedUpdateState as QuantizedUpdateState,
    quantized_update as quantized_update,
)
from ._refresh import refreshed as refreshed
from ._spsa import spsa as spsa
from ._symmetry_point import symmetry_point as symmetry_point
from ._tiki_taka import (
    TikiTakaState as TikiTakaState,
    buffered_tiki_taka as buffered_tiki_taka,
    tiki_taka as tiki_taka,
)
