"""Memory cells whose steps are a power of what is left to the bound."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._step_device import AbstractStepDevice, Cells, Variation, mixed, spread


class PowerStep(AbstractStepDevice):
    r"""$g \mapsto g \pm s\,(1 \pm \beta)\,\omega_\pm^{\gamma_\pm}$.

    $\omega_+ = (b_+ - g)/(b_+ - b_-)$ is the part of the range that is left above,
    $\omega_-$ that below. `exponent_spread` is the deviation of $\gamma$ from cell to
    cell, as a part of it.

    As a flow, $\omega$ is a power law of time, which is $n$ steps for a time that
    differs from $n$ by a series in the step: two terms.

    **Error:** for pulses of one direction, below $10^{-5}$ of the range where steps
    change by less than a tenth from one to the next; of both, see `mixed`.
    **Source:** Fusi, Abbott, *Nat. Neurosci.* 10, 485 (2007), doi:10.1038/nn1859, in
    the form of aihwkit's `PowStepDevice`.
    """

    step: float
    low: float = 0.0
    high: float = 1.0
    asymmetry: float = 0.0
    exponent_up: float = 1.0
    exponent_down: float = 1.0
    exponent_spread: float = 0.1
    variation: Variation = Variation()
    lifetime: float = math.inf
    diffusion: float = 0.0

    def __check_init__(self):
        if min(self.exponent_up, self.exponent_down) <= 0:
            raise ValueError(
                "Exponents must be positive, such as 1.0 for soft bounds, not "
                f"{self.exponent_up} and {self.exponent_down}."
            )

    @property
    def middle_steps(self) -> tuple[float, float]:
        up, down = self.step * (1 + self.asymmetry), self.step * (1 - self.asymmetry)
        return up * 0.5**self.exponent_up, down * 0.5**self.exponent_down

    def build(
        self, cell: Cells, shape: tuple[int, ...], *, key: PRNGKeyArray | None
    ) -> Cells:
        keys = [None, None] if key is None else jax.random.split(key)
        exponents = [
            spread(value, value * self.exponent_spread, shape, cell.up.dtype, own)
            for value, own in zip((self.exponent_up, self.exponent_down), keys)
        ]
        return cell._replace(law=tuple(exponents))

    def steps(
        self, state: Float[Array, "..."], cell: Cells
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        above = jnp.clip((cell.high - state) / (cell.high - cell.low), 0.0, 1.0)
        return cell.up * above ** cell.law[0], cell.down * (1.0 - above) ** cell.law[1]

    def respond(
        self,
        state: Float[Array, "..."],
        cell: Cells,
        up: Float[Array, "..."],
        down: Float[Array, "..."],
    ) -> Float[Array, "..."]:
        full = cell.high - cell.low

        def rise(state: Array, count: Array) -> Array:
            left = (cell.high - state) / full
            return cell.high - full * _left(count, left, cell.law[0], cell.up / full)

        def fall(state: Array, count: Array) -> Array:
            left = (state - cell.low) / full
            return cell.low + full * _left(count, left, cell.law[1], cell.down / full)

        return mixed(rise, fall, state, up, down, self.granularity / (2 * self.half))


def _left(
    count: Float[Array, "..."],
    left: Float[Array, "..."],
    exponent: Float[Array, "..."],
    step: Float[Array, "..."],
) -> Float[Array, "..."]:
    r"""What `count` steps $h\,\omega^\gamma$ leave of $\omega$.

    A flow of time $m$ leaves $\omega (1 + \epsilon y)^{-1/\epsilon}$, where
    $\epsilon = \gamma - 1$ and $y = h m\,\omega^\epsilon$. The steps take
    $n = \int d\omega/f\,(1 + f'/2 - f f''/12 - f'^2/12 + \dots)$ with
    $f = -h\,\omega^\gamma$, of which the first term is $m$ and the others are below.
    """
    bend = exponent - 1.0
    # The limit of the power is an exponential; so near to it, they are the same.
    bend = jnp.where(jnp.abs(bend) < 1e-6, 1e-6, bend)
    inside = jnp.clip(left, 1e-9, 1.0)
    pace = step * inside**bend

    def logarithm(time: Array) -> Array:
        # An exponent below 1 reaches the bound in a finite time.
        return -jnp.log1p(jnp.maximum(bend * pace * time, -1.0 + 1e-6)) / bend

    time, gone = count, logarithm(count)
    for _ in range(2):
        y = pace * time
        tail = y * (2.0 * exponent - 1.0) / jnp.maximum(1.0 + bend * y, 1e-6)
        time = count - 0.5 * exponent * gone + pace * exponent / 12 * tail
        gone = logarithm(time)
    return left * jnp.exp(gone)
