"""Simultaneous perturbation of all parameters, by what one scalar loss says."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Inexact, Int, PRNGKeyArray, PyTree

from .._search import AbstractSearch, Loss
from ..estimators._codes import RandomCode
from ..estimators._knobs import Scales, counted, moved, own_units
from ..estimators._perturbation import Knobs, Modulation, listened


def spsa(
    rate: float,
    size: float,
    *,
    stability: float = 0.0,  # steps
    rate_decay: float = 0.602,
    size_decay: float = 0.101,
    samples: int = 1,
    direction: optax.GradientTransformation = optax.identity(),
    scales: Scales = own_units,
    at_once: int = 1,
) -> "SimultaneousPerturbation":
    r"""Simultaneous perturbation stochastic approximation, for `fit`.

    At step $k$, with random signs $\Delta_i$ and an average over `samples`,

    $$\theta_i \leftarrow \theta_i - a_k\, d_i(\hat g), \qquad \hat g_i
    = \frac{L(\theta + c_k\Delta) - L(\theta - c_k\Delta)}{2 c_k}\,\Delta_i,$$
    $$a_k = \frac{a}{(A + k + 1)^\alpha}, \qquad c_k = \frac{c}{(k + 1)^\gamma}.$$

    The loss recorded is the mean of those that were measured.

    **Arguments:**

    - `rate`: $a$, `size`: $c$, both in units of `scales`. For noisy losses, Spall
        takes the deviation of the noise as $c$.
    - `stability`: $A$, say a tenth of the steps planned.
    - `rate_decay`, `size_decay`: $\alpha$ and $\gamma$. The defaults are the least for
        which convergence is proven; with 0, nothing decays.
    - `direction`: a transformation $d$ of `optax` without a rate of its own, of the
        vector of all real numbers: `optax.scale_by_adam()`.
    - `at_once`: how many losses are taken in one vectorized call.

    **Raises:** `ValueError` for a size or number that is not positive, or a decay or
    stability that is negative.
    **Source:** Spall, *IEEE Trans. Autom. Control* 37, 332 (1992),
    doi:10.1109/9.119632; the gains: *IEEE Trans. Aerosp. Electron. Syst.* 34, 817
    (1998), doi:10.1109/7.705889.
    """
    if size <= 0 or samples < 1 or at_once < 1:
        raise ValueError(
            f"`size`, `samples` and `at_once` must be positive, not {size}, {samples} "
            f"and {at_once}."
        )
    if min(stability, rate_decay, size_decay) < 0:
        raise ValueError(
            "`stability`, `rate_decay` and `size_decay` can't be negative, but are "
            f"{stability}, {rate_decay} and {size_decay}."
        )
    return SimultaneousPerturbation(
        rate,
        size,
        stability,
        rate_decay,
        size_decay,
        samples,
        direction,
        scales,
        at_once,
    )


class Steps(NamedTuple):
    """What `spsa` remembers."""

    number: Int[Array, ""]
    """How many there were."""
    direction: PyTree[Array]
    """The memory of the transformation."""


class SimultaneousPerturbation(AbstractSearch):
    """What `spsa` makes."""

    rate: float
    size: float
    stability: float
    rate_decay: float
    size_decay: float
    samples: int
    direction: optax.GradientTransformation
    scales: Scales
    at_once: int

    def init(self, parameters: PyTree[Array]) -> Steps:
        return Steps(jnp.int32(0), self.direction.init(blank(parameters)))

    def step(
        self,
        loss: Loss,
        memory: PyTree[Array],
        parameters: PyTree[Array],
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree[Array], Steps, Inexact[Array, ""]]:
        knobs = knobs_of(loss, parameters, self.scales)
        count = memory.number.astype(knobs.dtype)
        size = self.size * (count + 1) ** -self.size_decay
        rate = self.rate * (count + 1 + self.stability) ** -self.rate_decay
        code = RandomCode(2 * self.samples, paired=True)
        times = jnp.arange(2 * self.samples)
        total, costs = listened(
            knobs, Modulation(code, size, 0.0, self.at_once), times, *_two(key)
        )
        slopes = total[0] / (2 * self.samples)
        way, direction = transformed(self.direction, slopes, memory.direction)
        parameters = moved(parameters, -rate * way, self.scales)
        return parameters, Steps(memory.number + 1, direction), costs.mean()


def knobs_of(loss: Loss, parameters: PyTree[Array], scales: Scales) -> Knobs:
    """All real numbers of the parameters, and the loss where they are turned to."""
    zero = blank(parameters)

    def cost(turn: Array, key: PRNGKeyArray | None) -> Array:
        assert key is not None  # a search always has one
        return loss(moved(parameters, turn[0], scales), key)[None]

    return Knobs(1, zero.size, zero.dtype, cost)


def blank(parameters: PyTree[Array]) -> Array:
    """A zero for each real number of the parameters, in the finest of their dtypes."""
    dtypes = [leaf.real.dtype for leaf in jax.tree.leaves(parameters)]
    finest = max(dtypes, key=lambda dtype: jnp.finfo(dtype).bits)
    return jnp.zeros(counted(parameters), finest)


def transformed(
    direction: optax.GradientTransformation, slopes: Array, memory: PyTree[Array]
) -> tuple[Array, PyTree[Array]]:
    """What a transformation makes of the slopes, and of its memory."""
    # What optax computes from its counters is refused by strict promotion.
    with jax.numpy_dtype_promotion("standard"):
        way, memory = direction.update(slopes, memory)
    return jnp.asarray(way, slopes.dtype), memory


def _two(key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    first, second = jax.random.split(key)
    return first, second
