"""What a training found that counts the runs of its hardware."""

from collections.abc import Callable, Mapping
from typing import Any

from .._history import History
from ..plots import learning_curve
from ._experiment import Outcome


def counted(
    model: Any,
    history: History,
    runs: int,
    pictures: Mapping[str, Callable[[], Any]],
) -> Outcome:
    """Its test accuracy, and the physical runs until each evaluation.

    **Arguments:** `runs`: of a step. `pictures`: besides the learning curve.
    """
    return Outcome(
        value=history.final()["accuracy"],
        seconds=history.seconds,
        model=model,
        history=None,
        table={
            "step": history.steps,
            "physical_runs": [runs * int(step) for step in history.steps],
            "accuracy": history.metrics["accuracy"],
        },
        pictures={"training": lambda: learning_curve(history), **pictures},
    )
