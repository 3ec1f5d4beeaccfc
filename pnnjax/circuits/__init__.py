"""Currents and voltages: networks of resistors and diodes."""
