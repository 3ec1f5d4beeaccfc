"""How the gap between reality and model grows with depth."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, Int, PRNGKeyArray

from .._layer import AbstractLayer, Facts
from .._physical import Physical
from ..estimators import PhysicsAware
from ..plots._style import LINES, PALETTE, figure, style
from ._experiment import AbstractStudy, Outcome
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAIN = 2.0
EXPONENT = 1.1


def power_law(
    x: Float[Array, "..."],  # > 0, dimensionless
    gain: float | Float[Array, ""],
) -> Float[Array, "..."]:
    """$g x^{1.1}$."""
    return gain * x**EXPONENT


class PowerLaw(AbstractLayer):
    """A power law whose gain is a parameter."""

    gain: Float[Array, ""]
    facts: ClassVar[Facts] = Facts()

    def __call__(
        self, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Inexact[Array, "..."]:
        return power_law(x, self.gain.astype(x.dtype))


class Gaps(NamedTuple):
    """Relative, at each depth from 1 on, averaged over the inputs."""

    forward: Float[Array, " depth"]
    """Of the model's output."""
    in_silico: Float[Array, " depth"]
    """Of the model's derivative, with the model's own inner signals."""
    physics_aware: Float[Array, " depth"]
    """Of the model's derivative, with the measured inner signals."""


def gaps(model: PowerLaw, x: Float[Array, " inputs"], depth: int) -> Gaps:
    r"""How wrong $m \circ \dots \circ m$ is where reality is $f \circ \dots \circ f$.

    With $f = 2x^p$ and $m = (1 + \epsilon) f$, for any input: $n$ applications make an
    output wrong by $(1 + \epsilon)^{(p^n - 1)/(p - 1)} - 1$, and its derivative as
    much. With measured inner signals the derivative is wrong by $(1 + \epsilon)^n - 1$.

    **Arguments:** `model`: $m$. `x`: where to start. `depth`: the greatest $n$.
    """
    aware = Physical(model, PhysicsAware(lambda _, x, key: power_law(x, GAIN)))
    curves = jax.vmap(partial(_value_and_slope, depth=depth), in_axes=(None, None, 0))
    depths = jnp.arange(1, depth + 1)
    value, slope = curves(partial(power_law, gain=GAIN), x, depths)
    model_value, model_slope = curves(model, x, depths)
    _, aware_slope = curves(aware, x, depths)
    return Gaps(
        _gap(model_value, value), _gap(model_slope, slope), _gap(aware_slope, slope)
    )


class PATToy(AbstractStudy):
    """A power law after another, with a model of each that is 0.5 % too strong.

    The published values are those of the paper's code: forward 0.5, 3.09 and 33.06 %
    at depths 1, 5 and 20; the physics-aware gradient 0.5, 2.53 and 10.49 %. They are
    reached exactly, from any input, as `gaps` explains.
    """

    depth: int = setting(20, "applications of the law", low=1, high=20)
    error: float = setting(0.005, "of the model's gain, relative", low=-0.2, high=0.2)
    inputs: int = setting(16, "positive numbers to start from", low=1, high=10_000)

    name: ClassVar[str] = "pat-toy"
    summary: ClassVar[str] = (
        "power laws in series; in-silico and physics-aware gradients against the true"
    )
    reference: ClassVar[str] = (
        "Wright et al., Nature 601, 549 (2022), doi:10.1038/s41586-021-04223-6, "
        "supplement I.A; the authors' Physics-Aware-Training, example 3"
    )
    figure: ClassVar[str] = "physics-aware gradient gap"
    less_is_better: ClassVar[bool] = True
    published: ClassVar[float | None] = 0.1049
    duration: ClassVar[float] = 5.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        del checkpoint, resume, progress  # it takes seconds
        begun = time.perf_counter()
        x = jnp.exp(jax.random.normal(jax.random.key(seed), (self.inputs,)))
        model = PowerLaw(gain=jnp.asarray(GAIN * (1 + self.error)))
        found = jax.tree.map(np.asarray, gaps(model, x, self.depth))
        depths = np.arange(1, self.depth + 1)
        return Outcome(
            value=float(found.physics_aware[-1]),
            seconds=time.perf_counter() - begun,
            model=model,
            history=None,
            table={"depth": depths, **found._asdict()},
            pictures={"physics": lambda: draw(depths, found)},
        )


def draw(depths: Int[np.ndarray, " depth"], found: Gaps) -> "Figure":
    """The gaps against the depth."""
    from matplotlib.ticker import MaxNLocator

    lines: Mapping[str, Any] = {
        "output, in silico": found.forward,
        "gradient, in silico": found.in_silico,
        "gradient, physics-aware": found.physics_aware,
    }
    with style():
        fig = figure(6.4, 3.6)
        ax = fig.subplots()
        for (label, gap), color, line in zip(lines.items(), PALETTE, LINES):
            ax.plot(depths, 100 * gap, line, color=color, marker="o", ms=3, label=label)
        ax.set(xlabel="Applications", ylabel="Relative gap to reality (%)")
        ax.grid(True)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend()
    return fig


def _value_and_slope(
    law: Callable[..., Any], x: Array, applications: Array, depth: int
) -> tuple[Array, Array]:
    """The output and its derivative after so many applications, `depth` at most."""

    def apply(x, i):
        return jnp.where(i < applications, law(x), x), None

    def last(x):
        return jax.lax.scan(apply, x, jnp.arange(depth))[0]

    value, pull_back = jax.vjp(last, x)
    return value, pull_back(jnp.ones_like(value))[0]


def _gap(estimate: Array, truth: Array) -> Array:
    return jnp.mean(jnp.abs(estimate / truth - 1), axis=-1)
