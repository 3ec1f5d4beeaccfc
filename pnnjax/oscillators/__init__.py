"""Coupled oscillators."""

from ._auto_oscillator import (
    free_flow as free_flow,
    injection_locking_range as injection_locking_range,
    power_after as power_after,
    stationary_power as stationary_power,
)
from ._delay_node import (
    AbstractDelayNode as AbstractDelayNode,
    IkedaNode as IkedaNode,
    MackeyGlassNode as MackeyGlassNode,
    SineNode as SineNode,
)
from ._delay_reservoir import DelayLine as DelayLine, DelayReservoir as DelayReservoir
from ._duffing_lattice import DuffingLattice as DuffingLattice
from ._echo_state_network import EchoStateNetwork as EchoStateNetwork
from ._exchange import (
    chain_bonds as chain_bonds,
    grid_bonds as grid_bonds,
    hypercube_bonds as hypercube_bonds,
    ring_bonds as ring_bonds,
)
from ._input_mask import (
    binary_mask as binary_mask,
    sine_mask as sine_mask,
    uniform_mask as uniform_mask,
)
from ._kuramoto import Kuramoto as Kuramoto
from ._loop_filter import (
    AbstractLoopFilter as AbstractLoopFilter,
    BandPass as BandPass,
    LowPass as LowPass,
)
from ._nonlinear_lattice import (
    NonlinearLattice as NonlinearLattice,
    amplitudes as amplitudes,
    intensities as intensities,
)
from ._polariton_network import PolaritonNetwork as PolaritonNetwork
from ._self_learning import SelfLearningMachine as SelfLearningMachine
from ._spin_torque import (
    SpinTorqueOscillators as SpinTorqueOscillators,
    synchronization_rule as synchronization_rule,
)
from ._spin_torque_reservoir import SpinTorqueReservoir as SpinTorqueReservoir
from ._xy import xy_energy as xy_energy, xy_torque as xy_torque
