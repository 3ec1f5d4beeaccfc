"""How states move: relaxations, and integrators of motion."""

from ._relaxation import (
    AbstractRelaxation as AbstractRelaxation,
    FixedSteps as FixedSteps,
    UntilSettled as UntilSettled,
)
from ._split_step import split_step as split_step
from ._splitting import (
    Splitting as Splitting,
    held as held,
    symmetric_stages as symmetric_stages,
)
