"""White blood cells that are made with a delay: chaos in one variable."""

import numpy as np
from jaxtyping import Float


def mackey_glass(
    length: int,
    *,
    delay: float = 17.0,
    step: float = 1.0,
    start: float = 1.2,
    transient: int = 1000,
    substeps: int = 10,
    production: float = 0.2,
    decay: float = 0.1,
    exponent: float = 10.0,
) -> Float[np.ndarray, " time"]:
    r"""The Mackey-Glass series, sampled each `step` in the unit of time of the `delay`.

    $$\dot x = \frac{\beta\,x(t - \tau)}{1 + x(t - \tau)^n} - \gamma\,x$$

    With the default $\beta = 0.2$, $\gamma = 0.1$, $n = 10$ it is mildly chaotic at
    $\tau = 17$, wildly at 30, and settles at $x = 1$ below 4.708.

    **Arguments:** `start`: of the whole past, which chooses the series; `transient`:
    samples left out at the beginning; `substeps`: of the Runge-Kutta rule of order 4,
    in a sample. The past between two of them is a cubic with their slopes.
    **Raises:** `ValueError` unless `delay` is a whole number of substeps.
    **Error:** of order 4 in the substep, until chaos makes it large.
    **Source:** Mackey, Glass, *Science* 197, 287 (1977), doi:10.1126/science.267326;
    sampled as in Jaeger, Haas, *Science* 304, 78 (2004), doi:10.1126/science.1091277.
    """
    h = step / substeps
    behind = round(delay / h)
    if behind < 1 or abs(behind * h - delay) > 1e-9 * delay:
        near = max(behind, 1) * h
        raise ValueError(
            f"`delay` must be a whole number of substeps of {h:g}: {near:g} is, but "
            f"{delay:g} is not."
        )

    def slope(x: float, past: float) -> float:
        return production * past / (1 + past**exponent) - decay * x

    # Positions and slopes from `delay` before the beginning on.
    xs, slopes = [start] * (behind + 1), [0.0] * behind
    for i in range((transient + length - 1) * substeps):
        x, past, later = xs[-1], xs[i], xs[i + 1]
        first = slope(x, past)
        slopes.append(first)
        # The slope jumps where the constant past ends.
        ahead = slopes[i + 1] if i + 1 != behind else 0.0
        middle = (past + later) / 2 + h / 8 * (slopes[i] - ahead)
        second = slope(x + h / 2 * first, middle)
        third = slope(x + h / 2 * second, middle)
        fourth = slope(x + h * third, later)
        xs.append(x + h / 6 * (first + 2 * second + 2 * third + fourth))
    return np.asarray(xs[behind::substeps][transient:])
