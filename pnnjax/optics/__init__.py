from ._amplitude_mask import AmplitudeMask as AmplitudeMask, ComplexMask as ComplexMask
from ._angular_spectrum import angular_spectrum as angular_spectrum
from ._beam_propagation import beam_propagation as beam_propagation
from ._coupled_modes import scattering_matrix as scattering_matrix
from ._detector import (
    BalancedDetector as BalancedDetector,
    Detector as Detector,
    detector_grid as detector_grid,
    power_in as power_in,
)
from ._diffractive_layer import DiffractiveLayer as DiffractiveLayer
from ._dipole_cavity import (
    DipoleCavity as DipoleCavity,
    StructuralCavity as StructuralCavity,
    Walls as Walls,
    fence as fence,
    green_function as green_function,
    inverse_polarizability as inverse_polarizability,
)
from ._electro_optic import (
    ElectroOpticActivation as ElectroOpticActivation,
    electro_optic as electro_optic,
)
from ._fiber_modes import (
    GradedIndexModes as GradedIndexModes,
    ModeImager as ModeImager,
    ModeProjector as ModeProjector,
)
from ._free_space import FreeSpace as FreeSpace
from ._fresnel import fresnel as fresnel
from ._height_map import (
    HeightMap as HeightMap,
    relief_transmission as relief_transmission,
)
from ._intensity import Intensity as Intensity, intensity as intensity
from ._mesh import MZIMesh as MZIMesh
from ._mod_relu import ModReLU as ModReLU, mod_relu as mod_relu
from ._multimode_fiber import MultimodeFiber as MultimodeFiber
from ._nonlinear_resonators import KerrNetwork as KerrNetwork
from ._nonlinear_schrodinger import (
    NonlinearFiber as NonlinearFiber,
    nonlinear_schrodinger as nonlinear_schrodinger,
)
from ._phase_mask import PhaseMask as PhaseMask
from ._programmable_waveguide import ProgrammableWaveguide as ProgrammableWaveguide
from ._pulse import frequency_grid as frequency_grid, time_grid as time_grid
from ._raman import RamanResponse as RamanResponse
from ._rayleigh_sommerfeld import rayleigh_sommerfeld as rayleigh_sommerfeld
from ._resonator_network import ResonatorNetwork as ResonatorNetwork
from ._ring_weight_bank import (
    RingWeightBank as RingWeightBank,
    add_drop_ring as add_drop_ring,
)
from ._saturable_absorber import (
    SaturableAbsorber as SaturableAbsorber,
    saturated_transmission as saturated_transmission,
)
from ._scattering_medium import (
    ScatteringMedium as ScatteringMedium,
    StreamedScatteringMedium as StreamedScatteringMedium,
    diffusive_medium as diffusive_medium,
    gaussian_medium as gaussian_medium,
    reflecting_medium as reflecting_medium,
    speckle_contrast as speckle_contrast,
)
from ._second_harmonic import (
    SecondHarmonic as SecondHarmonic,
    second_harmonic as second_harmonic,
    undepleted_second_harmonic as undepleted_second_harmonic,
)
from ._stl import write_stl as write_stl
from ._svd import SVDMesh as SVDMesh
from ._triangular import TriangularMesh as TriangularMesh
from ._waveguide_modes import (
    GaussianModes as GaussianModes,
    gaussian_modes as gaussian_modes,
)
