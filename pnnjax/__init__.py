"""Training physical neural networks in JAX."""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING

from . import estimators as estimators
from ._analog_memory import (
    AbstractAnalogMemory as AbstractAnalogMemory,
    AbstractPulsedDevice as AbstractPulsedDevice,
)
from ._batch import physical_vjp as physical_vjp
from ._checkpoint import CheckpointError as CheckpointError
from ._claims import (
    ClaimReport as ClaimReport,
    cosine_similarity as cosine_similarity,
    hold_to_claim as hold_to_claim,
    relative_error as relative_error,
)
from ._diagnose import NonFiniteError as NonFiniteError
from ._equilibrium import free_residual as free_residual
from ._estimator import (
    AbstractEstimator as AbstractEstimator,
    Biased as Biased,
    Claim as Claim,
    Conditions as Conditions,
    Exact as Exact,
    GradientBiasWarning as GradientBiasWarning,
    Order as Order,
    PhysicalCost as PhysicalCost,
    Unbiased as Unbiased,
)
from ._fit import FitResult as FitResult, fit as fit
from ._frozen import Frozen as Frozen, is_trainable as is_trainable
from ._history import History as History
from ._layer import (
    AbstractBoundedLayer as AbstractBoundedLayer,
    AbstractClampableLayer as AbstractClampableLayer,
    AbstractEnergyLayer as AbstractEnergyLayer,
    AbstractEquilibriumLayer as AbstractEquilibriumLayer,
    AbstractLayer as AbstractLayer,
    AbstractPumpProbeLayer as AbstractPumpProbeLayer,
    AbstractReciprocalLayer as AbstractReciprocalLayer,
    AbstractSymmetricLayer as AbstractSymmetricLayer,
    AbstractTransposableLayer as AbstractTransposableLayer,
    AbstractWrapper as AbstractWrapper,
    Facts as Facts,
    output_size as output_size,
    respond as respond,
)
from ._motion import (
    AbstractHamiltonianLayer as AbstractHamiltonianLayer,
    AbstractTrajectoryLayer as AbstractTrajectoryLayer,
    Part as Part,
    PhaseSpace as PhaseSpace,
)
from ._objective import AbstractLocalObjective as AbstractLocalObjective
from ._physical import Physical as Physical, attach as attach
from ._readout import (
    Readout as Readout,
    RecursiveReadout as RecursiveReadout,
)
from ._scattering import (
    AbstractNonlinearScatteringLayer as AbstractNonlinearScatteringLayer,
    AbstractScatteringLayer as AbstractScatteringLayer,
)
from ._search import AbstractSearch as AbstractSearch
from ._sharding import ShardLarge as ShardLarge

if TYPE_CHECKING:
    from . import (
        circuits as circuits,
        data as data,
        devices as devices,
        imperfections as imperfections,
        integrators as integrators,
        objectives as objectives,
        optics as optics,
        optimizers as optimizers,
        oscillators as oscillators,
        plots as plots,
        quantum as quantum,
        spins as spins,
        sweeps as sweeps,
        waves as waves,
        zoo as zoo,
    )

_ROOMS = frozenset(
    {
        "circuits",
        "data",
        "devices",
        "imperfections",
        "integrators",
        "objectives",
        "optics",
        "optimizers",
        "oscillators",
        "plots",
        "quantum",
        "spins",
        "sweeps",
        "waves",
        "zoo",
    }
)

__version__ = version("pnnjax")


def __getattr__(name: str):
    """Import a room when it is first asked for: nobody needs all physics at once."""
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"`pnnjax` has no `{name}`.")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS} - {"TYPE_CHECKING", "importlib", "version"})
