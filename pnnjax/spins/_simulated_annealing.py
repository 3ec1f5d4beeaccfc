"""Simulated annealing: spins in a bath that slowly cools."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ._ising import IsingProblem
from ._random_stream import exponential, random_stream
from ._solver import AbstractIsingSolver, starting_spins


def metropolis(
    spins: Float[Array, "n replicas"],
    local_field: Float[Array, "n replicas"],
    threshold: Float[Array, "n replicas"],
) -> Float[Array, "n replicas"]:
    r"""Flip each spin whose flip costs the energy $2 s_i f_i$ or less than `threshold`.

    With thresholds $T x$, $x$ exponentially distributed, this is Metropolis' rule at
    the temperature $T$: the flip has the probability $\min(1, e^{-2 s_i f_i / T})$.

    **Source:** Metropolis et al., *J. Chem. Phys.* 21, 1087 (1953),
    doi:10.1063/1.1699114.
    """
    return jnp.where(2 * spins * local_field <= threshold, -spins, spins)


def anneal(
    problem: IsingProblem,
    spins: Float[Array, "replicas n"],
    temperatures: Float[Array, " sweeps"],  # as the energy, dimensionless
    key: PRNGKeyArray,
    observe: Callable[[Float[Array, "replicas n"]], PyTree] = lambda spins: None,
) -> tuple[Float[Array, "replicas n"], Any]:
    """One Metropolis sweep through the spins at each of the temperatures.

    **Returns:** the spins, and what `observe` saw of them after each sweep.
    """
    grouped, order = problem.in_groups()
    place = jnp.argsort(order)

    def sweep(carry: tuple, temperature: Array) -> tuple[tuple, Any]:
        state, stream = carry
        draws, stream = exponential(stream, state.dtype)
        state = grouped.sweep(state, metropolis, temperature * draws)
        return (state, stream), observe(state[place].T)

    begin = spins.T[order], random_stream(key, spins.T.shape)
    (state, _), seen = lax.scan(sweep, begin, temperatures.astype(spins.dtype))
    return state[place].T, seen


def quench(
    problem: IsingProblem, spins: Float[Array, "replicas n"]
) -> Float[Array, "replicas n"]:
    """Flip spins as long as a single flip lowers the energy."""
    grouped, order = problem.in_groups()

    def sweep(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        state, _ = carry
        moved = grouped.sweep(state, _descend, state)
        return moved, (moved != state).any()

    begin = spins.T[order], jnp.asarray(True)
    state, _ = lax.while_loop(lambda carry: carry[1], sweep, begin)
    return state[jnp.argsort(order)].T


class SimulatedAnnealing(AbstractIsingSolver):
    """Metropolis sweeps while the temperature falls linearly, then a quench."""

    sweeps: int
    hot: float | None
    cold: float | None

    def __init__(
        self, sweeps: int = 1000, hot: float | None = None, cold: float | None = None
    ):
        self.sweeps, self.hot, self.cold = sweeps, hot, cold

    def __call__(
        self,
        problem: IsingProblem,
        *,
        key: PRNGKeyArray,
        replicas: int = 1,
        start: Float[Array, "replicas n"] | None = None,
    ) -> Float[Array, "replicas n"]:
        start_key, key = jax.random.split(key)
        spins = starting_spins(problem, replicas, start, start_key)
        temps = jnp.linspace(self.hot, self.cold, self.sweeps, dtype=spins.dtype)
        spins, _ = anneal(problem, spins, temps, key)
        return quench(problem, spins)


def _descend(spins: Array, local_field: Array, _: Array) -> Array:
    return jnp.where(spins * local_field < 0, -spins, spins)
