"""Currents and voltages: networks of resistors and diodes, crossbars, memory cells."""

from ._constant_step import ConstantStep as ConstantStep
from ._crossbar import Crossbar as Crossbar, is_conductance as is_conductance
from ._crossbar_convolution import CrossbarConvolution as CrossbarConvolution
from ._deep_resistive_network import DeepResistiveNetwork as DeepResistiveNetwork
from ._diode import (
    ExponentialDiode as ExponentialDiode,
    IdealDiode as IdealDiode,
    shockley_co_content as shockley_co_content,
    shockley_current as shockley_current,
)
from ._drift_compensation import DriftCompensation as DriftCompensation
from ._encoding import (
    AbstractEncoding as AbstractEncoding,
    BitSliced as BitSliced,
    DifferentialPair as DifferentialPair,
    Referenced as Referenced,
)
from ._exponential_step import ExponentialStep as ExponentialStep
from ._fit_device import FittedDevice as FittedDevice, fit_device as fit_device
from ._graph import BidirectionalAmplifier as BidirectionalAmplifier
from ._hysteresis import (
    Course as Course,
    Sine as Sine,
    Triangle as Triangle,
    hysteresis as hysteresis,
)
from ._ion_drift import IonDrift as IonDrift
from ._line_resistance import (
    LineResistance as LineResistance,
    column_currents as column_currents,
    drive_rows as drive_rows,
    row_currents as row_currents,
)
from ._linear_step import LinearStep as LinearStep
from ._memristor import AbstractMemristor as AbstractMemristor
from ._one_way import OneWay as OneWay
from ._operating_point import OperatingPoint as OperatingPoint
from ._pcm import (
    PCM as PCM,
    pcm_drift_exponent as pcm_drift_exponent,
    pcm_programming_deviation as pcm_programming_deviation,
    pcm_read_deviation as pcm_read_deviation,
)
from ._pcm_pulses import PCMCells as PCMCells, PCMPulses as PCMPulses
from ._power_step import PowerStep as PowerStep
from ._pulse_data import PulseData as PulseData, read_pulses as read_pulses
from ._pulsed_memristor import Pulse as Pulse, PulsedMemristor as PulsedMemristor
from ._rc_network import RCNetwork as RCNetwork, charge_spread as charge_spread
from ._resistor_network import ResistorNetwork as ResistorNetwork
from ._rram import (
    RRAM as RRAM,
    MultilevelRRAM as MultilevelRRAM,
    rram_relaxed_deviation as rram_relaxed_deviation,
)
from ._sneak_paths import (
    AbstractReadScheme as AbstractReadScheme,
    FloatingLines as FloatingLines,
    GroundedLines as GroundedLines,
    HalfVoltage as HalfVoltage,
    ThirdVoltage as ThirdVoltage,
)
from ._soft_bounds import SoftBounds as SoftBounds
from ._step_device import (
    IDENTICAL as IDENTICAL,
    AbstractStepDevice as AbstractStepDevice,
    Cells as Cells,
    Variation as Variation,
)
from ._stored import Stored as Stored, conductances as conductances
from ._tunnel_junction import (
    TunnelJunction as TunnelJunction,
    switching_probability as switching_probability,
    switching_rate as switching_rate,
)
from ._vteam import VTEAM as VTEAM
from ._windows import (
    AbstractWindow as AbstractWindow,
    Biolek as Biolek,
    HardStop as HardStop,
    Joglekar as Joglekar,
    Prodromakis as Prodromakis,
)
