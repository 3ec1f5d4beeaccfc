"""Currents and voltages: networks of resistors and diodes."""

from ._deep_resistive_network import DeepResistiveNetwork as DeepResistiveNetwork
from ._diode import (
    ExponentialDiode as ExponentialDiode,
    IdealDiode as IdealDiode,
    shockley_co_content as shockley_co_content,
    shockley_current as shockley_current,
)
from ._graph import BidirectionalAmplifier as BidirectionalAmplifier
from ._operating_point import OperatingPoint as OperatingPoint
from ._rc_network import RCNetwork as RCNetwork, charge_spread as charge_spread
from ._resistor_network import ResistorNetwork as ResistorNetwork
