"""Mechanical and acoustic systems."""

from ._canonical_pendula import CanonicalPendula as CanonicalPendula
from ._coupled_pendula import (
    CoupledPendula as CoupledPendula,
    pendulum_energy as pendulum_energy,
    pendulum_stiffness as pendulum_stiffness,
    swing as swing,
)
from ._elastic_network import (
    ElasticNetwork as ElasticNetwork,
    spring_energy as spring_energy,
)
from ._membranes import (
    Membranes as Membranes,
    membrane_scattering as membrane_scattering,
    membrane_velocities as membrane_velocities,
)
from ._time_floquet import (
    TimeFloquet as TimeFloquet,
    floquet_scattering as floquet_scattering,
)
from ._wave_equation import (
    SaturableDamping as SaturableDamping,
    UnderSampledWarning as UnderSampledWarning,
    WaveRun as WaveRun,
    absorbing_profile as absorbing_profile,
    grid_frequency as grid_frequency,
    stable_step as stable_step,
    wave_energy as wave_energy,
    wave_equation as wave_equation,
)
from ._wave_layer import (
    WaveEquation2D as WaveEquation2D,
    projected_density as projected_density,
)
