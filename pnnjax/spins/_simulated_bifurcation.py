"""Simulated bifurcation: oscillators that each fall to one of two sides."""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from ._ising import IsingProblem
from ._simulated_annealing import field_scale
from ._solver import AbstractIsingSolver, starting_spins


def bifurcation_energy(
    problem: IsingProblem,
    position: Float[Array, "*batch n"],
    momentum: Float[Array, "*batch n"],
    pump: Float[Array, ""],
    strength: Float[Array, ""],
) -> Float[Array, "*batch"]:
    r"""$H = \tfrac12 y^2 + \tfrac12 (1 - a)\,x^2 + c_0\,E(x)$, for $|x_i| \le 1$.

    $a$ is the pump, $c_0$ the strength, $E$ the Ising energy. Above threshold the side
    on which an oscillator is becomes its spin.

    **Source:** Goto et al., *Science Advances* 7, eabe7953 (2021),
    doi:10.1126/sciadv.abe7953, with $a_0 = 1$; there without a field.
    """
    kinetic = jnp.sum(momentum**2, -1) / 2
    potential = (1 - pump) * jnp.sum(position**2, -1) / 2
    return kinetic + potential + strength * problem.energy(position)


def bifurcation_step(
    problem: IsingProblem,
    position: Float[Array, "*batch n"],
    momentum: Float[Array, "*batch n"],
    pump: Float[Array, ""],
    strength: Float[Array, ""],
    time_step: float,  # dimensionless
    discrete: bool,
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    r"""A step of symplectic Euler, then the walls, at which oscillators stop dead.

    $\dot y = -(1 - a)\,x + c_0 (J\xi + h)$ and $\dot x = y$, where $\xi = x$
    (ballistic), or $\xi = \operatorname{sgn} x$ (discrete), which no $H$ generates.

    **Error:** of first order in the time step, with no drift of $H$ inside the walls.
    """
    source = _signs(position) if discrete else position
    force = strength * problem.local_field(source) - (1 - pump) * position
    momentum = momentum + time_step * force
    position = position + time_step * momentum
    outside = jnp.abs(position) > 1
    return jnp.clip(position, -1, 1), jnp.where(outside, 0, momentum)


class SimulatedBifurcation(AbstractIsingSolver):
    r"""Oscillators pumped ever harder, whose coupling decides to which side each falls.

    The pump $a$ rises linearly from 0 to 1. Where no `strength` is given it is
    $c_0 = 1/(2\sigma)$, $\sigma^2 = \tfrac1n\sum_{ij} J_{ij}^2 + \tfrac1n\sum_i h_i^2$:
    for many spins, as in the source. It returns the signs at the end.

    **Source:** Goto et al., *Science Advances* 7, eabe7953 (2021),
    doi:10.1126/sciadv.abe7953.
    """

    steps: int
    time_step: float
    discrete: bool
    strength: float | None

    def __init__(
        self,
        steps: int = 1000,
        time_step: float = 0.5,
        *,
        discrete: bool = True,
        strength: float | None = None,
    ):
        """Take `steps` steps of the ballistic or of the discrete dynamics.

        **Raises:** `ValueError` if there is no step, for a step that is not between 0
        and 2, above which it is unstable, or for a strength that is not positive.
        """
        if steps < 1:
            raise ValueError(f"There must be at least one step, not {steps}.")
        if not 0 < time_step < 2:
            raise ValueError(f"`time_step` must be between 0 and 2, not {time_step}.")
        if strength is not None and not 0 < strength < math.inf:
            raise ValueError(f"`strength` must be positive, not {strength}.")
        self.steps, self.time_step = steps, time_step
        self.discrete, self.strength = discrete, strength

    def __call__(
        self,
        problem: IsingProblem,
        *,
        key: PRNGKeyArray,
        replicas: int = 1,
        start: Float[Array, "replicas n"] | None = None,
    ) -> Float[Array, "replicas n"]:
        """`start` decides to which side the oscillators lean before they are pumped."""
        side_key, x_key, y_key = jax.random.split(key, 3)
        side = starting_spins(problem, replicas, start, side_key)
        x = _SPREAD * side * jax.random.uniform(x_key, side.shape, side.dtype)
        y = _SPREAD * jax.random.uniform(y_key, side.shape, side.dtype, -1, 1)
        strength = 0.5 / jnp.maximum(field_scale(problem), jnp.finfo(x.dtype).tiny)
        if self.strength is not None:
            strength = jnp.full_like(strength, self.strength)

        def step(state: tuple[Array, Array], pump: Array) -> tuple:
            forward = bifurcation_step(
                problem, *state, pump, strength, self.time_step, self.discrete
            )
            return forward, None

        pumps = jnp.linspace(0, 1, self.steps, dtype=x.dtype)
        (x, _), _ = lax.scan(step, (x, y), pumps)
        return _signs(x)


_SPREAD = 0.1


def _signs(position: Array) -> Array:
    return jnp.where(position < 0, -jnp.ones_like(position), jnp.ones_like(position))
