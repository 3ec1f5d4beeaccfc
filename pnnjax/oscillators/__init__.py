"""Coupled oscillators."""

from ._kuramoto import Kuramoto as Kuramoto
from ._xy import xy_energy as xy_energy, xy_torque as xy_torque
