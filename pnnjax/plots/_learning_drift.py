"""What a self-learning machine does to its parameters, and what the gradient would."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import GRAY, PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_drift(
    drift: Float[AnyArray, " parameters"], step: Float[AnyArray, " parameters"]
) -> "Figure":
    """Each parameter's drift in a lesson against a step down the gradient.

    **Raises:** `ValueError` if the two differ in length, or one is all zero.
    """
    found, exact = checked(drift, "drift", 1), checked(step, "step", 1)
    if found.shape != exact.shape or not (found.any() and exact.any()):
        raise ValueError(
            f"`drift` and `step` must be of one length and not all zero, but are of "
            f"shape {found.shape} and {exact.shape}."
        )
    cosine = found @ exact / np.linalg.norm(found) / np.linalg.norm(exact)
    reach = 1.1 * max(np.abs(found).max(), np.abs(exact).max())
    with style():
        fig = figure(4.4, 4.2)
        ax = fig.subplots()
        ax.plot([-reach, reach], [-reach, reach], color=GRAY, linewidth=0.8)
        ax.plot(exact, found, "o", color=PALETTE[0], markersize=3, alpha=0.6)
        ax.set(
            xlabel="Step down the gradient (rad/s)",
            ylabel="Drift after the echo (rad/s)",
            title=f"cosine {cosine:.6f}",
            xlim=(-reach, reach),
            ylim=(-reach, reach),
            aspect="equal",
        )
        ax.grid(True)
    return fig
