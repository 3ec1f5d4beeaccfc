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
    r"""Flip each spin whose flip costs the energy $2 s_i f_i$ below `threshold`.

    With thresholds $T x$, $x$ exponentially distributed, this is Metropolis' rule at
    the temperature $T$: the flip has the probability $\min(1, e^{-2 s_i f_i / T})$.

    **Source:** Metropolis et al., *J. Chem. Phys.* 21, 1087 (1953),
    doi:10.1063/1.1699114.
    """
    return jnp.where(2 * spins * local_field < threshold, -spins, spins)


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
    # A sort would be long to compile.
    place = (
        jnp.zeros_like(order).at[order].set(jnp.arange(len(order), dtype=order.dtype))
    )

    def sweep(carry: tuple, temperature: Array) -> tuple[tuple, Any]:
        state, stream = carry
        draws, stream = exponential(stream, state.dtype)
        state = grouped.sweep(state, metropolis, temperature * draws)
        return (state, stream), observe(state[place].T)

    begin = spins.T[order], random_stream(key, spins.T.shape)
    (state, _), seen = lax.scan(sweep, begin, temperatures.astype(spins.dtype))
    return state[place].T, seen


class SimulatedAnnealing(AbstractIsingSolver):
    r"""Metropolis sweeps while the bath cools linearly, and a few without any bath.

    Temperatures are energies. Where they are not given they are 0.8 and 0.1 of
    $\sigma$, the root mean square of the field on a spin among random others,
    $\sigma^2 = \tfrac1n \sum_{ij} J_{ij}^2 + \tfrac1n \sum_i h_i^2$.
    It returns where the runs end: as a rule in a local minimum, since the last ten
    sweeps are at no temperature.

    **Source:** Kirkpatrick, Gelatt, Vecchi, *Science* 220, 671 (1983),
    doi:10.1126/science.220.4598.671.
    """

    sweeps: int
    hot: float | None
    cold: float | None

    def __init__(
        self, sweeps: int = 1000, hot: float | None = None, cold: float | None = None
    ):
        """Cool from the temperature `hot` to `cold` in `sweeps` sweeps.

        **Raises:** `ValueError` if there is no sweep, or if the temperatures are
        negative or rise.
        """
        if sweeps < 1:
            raise ValueError(f"There must be at least one sweep, not {sweeps}.")
        for name, value in (("hot", hot), ("cold", cold)):
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"The temperature `{name}` can't be {value}.")
        if hot is not None and cold is not None and hot < cold:
            raise ValueError(f"`hot` ({hot}) must not be below `cold` ({cold}).")
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
        return anneal(problem, spins, self.temperatures(problem), key)[0]

    def temperatures(self, problem: IsingProblem) -> Float[Array, " sweeps"]:
        """The temperature of each sweep, those of the last ones included."""
        scale = field_scale(problem)
        hot = 0.8 * scale if self.hot is None else jnp.full_like(scale, self.hot)
        cold = 0.1 * scale if self.cold is None else jnp.full_like(scale, self.cold)
        falling = jnp.linspace(hot, cold, self.sweeps, dtype=scale.dtype)
        return jnp.append(falling, jnp.zeros(_QUENCH, scale.dtype))


def field_scale(problem: IsingProblem) -> Float[Array, ""]:
    """The root mean square of the local field, over all configurations and spins."""
    squares = problem.couplings.squares() + jnp.sum(problem.field**2)
    return jnp.sqrt(squares / problem.size)


_QUENCH = 10
