"""Pictures of physical networks and of how they train."""

from ._accuracy_over_time import accuracy_over_time as accuracy_over_time
from ._against_setting import against_setting as against_setting
from ._alignment_map import alignment_map as alignment_map
from ._beam import beam as beam
from ._cavity_fields import cavity_fields as cavity_fields
from ._circuit import circuit as circuit
from ._cochleagram import cochleagram as cochleagram
from ._comparison import comparison as comparison
from ._conductance_drift import conductance_drift as conductance_drift
from ._conductance_histogram import conductance_histogram as conductance_histogram
from ._confusion_matrix import confusion_matrix as confusion_matrix
from ._cost_and_quality import cost_and_quality as cost_and_quality
from ._cross_section import cross_section as cross_section
from ._crossbar_map import crossbar_map as crossbar_map
from ._decision_regions import decision_regions as decision_regions
from ._device_log import device_log as device_log
from ._echo_course import echo_course as echo_course
from ._energy_descent import energy_descent as energy_descent
from ._feature_maps import feature_maps as feature_maps
from ._fiber_modes import fiber_modes as fiber_modes
from ._field import domain_coloring as domain_coloring, field as field
from ._gradient_alignment import gradient_alignment as gradient_alignment
from ._hysteresis import hysteresis as hysteresis
from ._ir_drop import ir_drop as ir_drop
from ._label_scores import label_scores as label_scores
from ._labeled_fields import labeled_fields as labeled_fields
from ._learning_curve import learning_curve as learning_curve
from ._learning_drift import learning_drift as learning_drift
from ._mesh import mesh as mesh
from ._node_voltages import node_voltages as node_voltages
from ._oscillator_phases import oscillator_phases as oscillator_phases
from ._phase_masks import phase_masks as phase_masks
from ._phase_portrait import phase_portrait as phase_portrait
from ._pulse_evolution import pulse_evolution as pulse_evolution
from ._pulse_response import pulse_response as pulse_response
from ._recall import capacity as capacity, recall as recall
from ._reflection_spectrum import reflection_spectrum as reflection_spectrum
from ._robustness import robustness as robustness
from ._robustness_panels import robustness_panels as robustness_panels
from ._runs_to_accuracy import runs_to_accuracy as runs_to_accuracy
from ._scattering_map import scattering_map as scattering_map
from ._series import (
    free_run as free_run,
    memory_curves as memory_curves,
    prediction as prediction,
)
from ._speckle import speckle as speckle
from ._spectra import spectra as spectra
from ._spin_raster import spin_raster as spin_raster
from ._stack import stack as stack
from ._strips import strips as strips
from ._switching import switching as switching
from ._synchronization_map import synchronization_map as synchronization_map
from ._twin_error import twin_drift as twin_drift, twin_error as twin_error
from ._two_runs import two_runs as two_runs
from ._wave_movie import wave_movie as wave_movie
from ._wave_speed import wave_speed as wave_speed
