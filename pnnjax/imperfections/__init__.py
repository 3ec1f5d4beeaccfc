"""Imperfections of hardware: layer -> layer wrappers that compose."""

from ._crosstalk import Crosstalk as Crosstalk
from ._drift import Drift as Drift
from ._imperfection import (
    AbstractImperfection as AbstractImperfection,
    AbstractParameterImperfection as AbstractParameterImperfection,
    AbstractSignalImperfection as AbstractSignalImperfection,
    ImperfectParameters as ImperfectParameters,
    ImperfectSignals as ImperfectSignals,
)
from ._loss import Loss as Loss
from ._mismatch import Mismatch as Mismatch
from ._quantize import (
    ADC as ADC,
    DAC as DAC,
    Quantize as Quantize,
    quantize as quantize,
)
from ._read_noise import ReadNoise as ReadNoise
from ._shot_noise import ShotNoise as ShotNoise, shot_noise as shot_noise
from ._stuck_at import StuckAt as StuckAt
