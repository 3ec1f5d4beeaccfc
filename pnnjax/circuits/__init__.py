"""Currents and voltages: networks of resistors and diodes."""

from ._deep_resistive_network import DeepResistiveNetwork as DeepResistiveNetwork
