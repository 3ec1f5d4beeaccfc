"""A nonlinear system with a memory of ten steps, driven by noise."""

from itertools import count

import numpy as np

from ._series import Series

ORDER = 10
_ESCAPED = 10.0  # The outputs stay near 1: from here on, they only grow.


def narma10(length: int, *, seed: int = 0) -> Series:
    r"""The nonlinear moving average of tenth order, from rest.

    $$y_{t+1} = 0.3\,y_t + 0.05\,y_t\sum_{i=0}^{9} y_{t-i} + 1.5\,u_{t-9}u_t + 0.1$$

    `inputs[t]` is $u_t$, uniform from 0 to 0.5, and `targets[t]` is $y_{t+1}$, which it
    completes. Rarely the system runs away; all inputs are then drawn again.

    **Source:** Atiya, Parlos, *IEEE Trans. Neural Netw.* 11, 697 (2000),
    doi:10.1109/72.846741.
    """
    if length < 1:
        raise ValueError(f"`length` must be at least 1, but is {length}.")
    for attempt in count():
        rng = np.random.default_rng([seed, attempt])
        u = rng.uniform(0.0, 0.5, length)
        y = narma10_response(u.tolist())
        if len(y) == length:
            return Series(u[:, None], np.asarray(y)[:, None])
    raise AssertionError("An endless loop has ended.")


def narma10_response(inputs: list[float]) -> list[float]:
    """The outputs that `inputs` complete; cut short where the system runs away."""
    u = [0.0] * (ORDER - 1) + inputs
    y = [0.0] * ORDER
    for t in range(len(inputs)):
        total = sum(y[-ORDER:])
        new = 0.3 * y[-1] + 0.05 * y[-1] * total + 1.5 * u[t] * u[t + ORDER - 1] + 0.1
        if new > _ESCAPED:
            break
        y.append(new)
    return y[ORDER:]
