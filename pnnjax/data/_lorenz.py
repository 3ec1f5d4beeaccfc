"""Convection rolls that turn over at no regular time."""

import numpy as np
from jaxtyping import Float


def lorenz(
    length: int,
    *,
    step: float = 0.02,
    start: tuple[float, float, float] = (1.0, 1.0, 1.0),
    transient: int = 1000,
    sigma: float = 10.0,
    rho: float = 28.0,
    beta: float = 8 / 3,
) -> Float[np.ndarray, "time 3"]:
    r"""$x$, $y$ and $z$ of the Lorenz system, sampled each `step` (dimensionless).

    $$\dot x = \sigma(y - x),\quad \dot y = x(\rho - z) - y,\quad
        \dot z = xy - \beta z$$

    **Arguments:** `transient`: samples left out after `start`.
    **Error:** a relative $10^{-10}$ a step, which doubles about every 0.8 units of
    time.
    **Source:** Lorenz, *J. Atmos. Sci.* 20, 130 (1963),
    doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2.
    """
    from scipy.integrate import solve_ivp

    def slope(_, state):
        x, y, z = state
        return sigma * (y - x), x * (rho - z) - y, x * y - beta * z

    times = step * np.arange(transient + length)
    found = solve_ivp(
        slope,
        (0.0, times[-1] + step),
        start,
        method="DOP853",
        t_eval=times,
        rtol=1e-10,
        atol=1e-10,
    )
    return found.y.T[transient:]
