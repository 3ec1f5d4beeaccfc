"""Multiplexed gradient descent: parameters that wiggle while data stream by."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Inexact, Int, PRNGKeyArray, PyTree, UInt32

from .._search import AbstractSearch, Loss
from ..estimators._codes import AbstractCode
from ..estimators._knobs import Scales, moved, own_units
from ..estimators._perturbation import Knobs, Modulation, listened
from ._spsa import blank, knobs_of, transformed


def multiplexed_gradient_descent(
    code: AbstractCode,
    amplitude: float,
    rate: float | optax.Schedule,
    *,
    perturbations: int = 1,
    integration: int = 1,
    noise: float = 0.0,
    direction: optax.GradientTransformation = optax.identity(),
    scales: Scales = own_units,
    at_once: int = 1,
) -> "Multiplexed":
    r"""Descent along what homodyne detection of a single loss finds, for `fit`.

    Every parameter has a code $c_i$ and moves by $\tilde\theta_i = A c_i(t)$, a new
    value every $\tau_p$. The modulation of the loss, $\tilde C = C - C_0$, is
    multiplied with each and integrated; every $\tau_\theta$ the parameters are updated,

    $$\theta_i \leftarrow \theta_i - \eta\, d_i(G), \qquad G_i
    = \frac{\tau_p}{\tau_\theta} \sum_t \frac{\tilde C\,\tilde\theta_i}
    {\langle\tilde\theta_i^2\rangle}.$$

    Three time scales: a step of `fit` is $\tau_x$, for which one mini-batch is shown,
    and $\tau_p$ is the unit,

    - `perturbations` is $\tau_x/\tau_p$, the perturbations that each mini-batch sees,
    - `integration` is $\tau_\theta/\tau_p$, those between two updates: more than
        `perturbations` if the gradient is gathered over several mini-batches (a larger
        batch), fewer if one mini-batch serves for several updates.

    The loss at rest, $C_0$, is measured whenever the mini-batch or the parameters have
    changed: each step takes one run more than it has perturbations, or more if there
    are several updates in it. It is the loss recorded.

    All scales alike ($\tau_\theta = \tau_p = \tau_x$) with a `RandomCode` is one-sided
    SPSA; $\tau_\theta = P\,\tau_p$ with the `SequentialCode` is finite differences,
    coordinate descent if $\tau_\theta = \tau_p$.

    **Arguments:** `amplitude` $A$ and `rate` $\eta$, in units of `scales`; the rate may
    be a schedule of the updates. `noise`: the deviation of each reading of the loss (in
    its unit), besides that of the model. `direction`: a transformation $d$ of `optax`
    without a rate of its own, of the vector of all real numbers: `optax.trace(0.9)`.
    `at_once`: how many losses are taken in one vectorized call.
    **Raises:** `ValueError` if an amplitude or number is not positive, or one of
    `perturbations` and `integration` is not a multiple of the other.
    **Source:** McCaughan et al., *APL Mach. Learn.* 1, 026118 (2023),
    doi:10.1063/5.0157645.
    """
    if amplitude <= 0 or min(perturbations, integration, at_once) < 1:
        raise ValueError(
            "`amplitude`, `perturbations`, `integration` and `at_once` must be "
            f"positive, not {amplitude}, {perturbations}, {integration} and {at_once}."
        )
    if perturbations % integration and integration % perturbations:
        raise ValueError(
            f"`perturbations` is {perturbations} and `integration` {integration}: one "
            f"must be a multiple of the other, such as {perturbations} and "
            f"{max(1, integration // perturbations) * perturbations}."
        )
    return Multiplexed(
        code,
        amplitude,
        rate,
        perturbations,
        integration,
        noise,
        direction,
        scales,
        at_once,
    )


class Homodyne(NamedTuple):
    """What `multiplexed_gradient_descent` remembers."""

    time: Int[Array, ""]
    """How many perturbations there were."""
    seed: UInt32[Array, ""]
    """Of the code, drawn in the first step."""
    gathered: Float[Array, " count"]
    """What was integrated since the last update."""
    direction: PyTree[Array]
    """The memory of the transformation."""


class Multiplexed(AbstractSearch):
    """What `multiplexed_gradient_descent` makes."""

    code: AbstractCode
    amplitude: float
    rate: float | optax.Schedule
    perturbations: int
    integration: int
    noise: float
    direction: optax.GradientTransformation
    scales: Scales
    at_once: int

    def init(self, parameters: PyTree[Array]) -> Homodyne:
        zero = blank(parameters)
        return Homodyne(jnp.int32(0), jnp.uint32(0), zero, self.direction.init(zero))

    def step(
        self,
        loss: Loss,
        memory: PyTree[Array],
        parameters: PyTree[Array],
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree[Array], Homodyne, Inexact[Array, ""]]:
        drawn = jax.random.bits(jax.random.fold_in(key, 0), dtype=jnp.uint32)
        seed = jnp.where(memory.time == 0, drawn, memory.seed)
        start = parameters, memory._replace(seed=seed)

        def block(carry: tuple, own: PRNGKeyArray) -> tuple[tuple, Array]:
            parameters, memory = carry
            memory, resting = self._listen(loss, memory, parameters, own)
            return self._update(memory, parameters), resting

        blocks = max(1, self.perturbations // self.integration)
        keys = jax.random.split(jax.random.fold_in(key, 1), blocks)
        (parameters, memory), losses = lax.scan(block, start, keys)
        return parameters, memory, losses[0]

    def _listen(
        self,
        loss: Loss,
        memory: Homodyne,
        parameters: PyTree[Array],
        key: PRNGKeyArray,
    ) -> tuple[Homodyne, Array]:
        """Go through the perturbations that see the same data and parameters."""
        knobs = knobs_of(loss, parameters, self.scales)
        count = min(self.perturbations, self.integration)
        first, reading, runs = jax.random.split(key, 3)
        resting = knobs.cost(jnp.zeros((1, knobs.number), knobs.dtype), first)
        resting += self.noise * jax.random.normal(reading, (1,), resting.dtype)

        def change(turn: Array, key: PRNGKeyArray | None) -> Array:
            return knobs.cost(turn, key) - resting

        total, _ = listened(
            Knobs(1, knobs.number, knobs.dtype, change),
            Modulation(
                self.code, jnp.asarray(self.amplitude), self.noise, self.at_once
            ),
            memory.time + jnp.arange(count, dtype=memory.time.dtype),
            jax.random.key(memory.seed),
            runs,
        )
        gathered = memory.gathered + total[0]
        return memory._replace(time=memory.time + count, gathered=gathered), resting[0]

    def _update(
        self, memory: Homodyne, parameters: PyTree[Array]
    ) -> tuple[PyTree[Array], Homodyne]:
        """Move down what was gathered, if the integration is over."""
        over = memory.time % self.integration == 0
        power = self.code.power(memory.gathered.size)
        slopes = memory.gathered / (self.integration * power)
        way, direction = transformed(self.direction, slopes, memory.direction)
        rate = self.rate
        if callable(rate):
            with jax.numpy_dtype_promotion("standard"):
                rate = rate(memory.time // self.integration - 1)
        way = -jnp.asarray(rate, way.dtype) * way
        new = moved(parameters, jnp.where(over, way, 0), self.scales)
        direction = jax.tree.map(
            lambda new, old: jnp.where(over, new, old), direction, memory.direction
        )
        gathered = jnp.where(over, 0, memory.gathered)
        return new, memory._replace(gathered=gathered, direction=direction)
