"""How states move: relaxations, and integrators of motion."""

from ._relaxation import (
    AbstractRelaxation as AbstractRelaxation,
    FixedSteps as FixedSteps,
    UntilSettled as UntilSettled,
)
