"""What looks for the spin configuration of least energy."""

import abc

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from ._ising import IsingProblem


class AbstractIsingSolver(eqx.Module):
    """An Ising machine: a dynamics, or a rule, that ends at low energy.

    It can be jitted: the problem is a pytree whose arrays may be traced.
    """

    @abc.abstractmethod
    def __call__(
        self,
        problem: IsingProblem,
        *,
        key: PRNGKeyArray,
        replicas: int = 1,
        start: Float[Array, "replicas n"] | None = None,
    ) -> Float[Array, "replicas n"]:
        """The spins, +1 or -1, at which each of `replicas` independent runs ends.

        **Arguments:** `start`: the spins to begin with; without it they are drawn.
        """


def starting_spins(
    problem: IsingProblem,
    replicas: int,
    start: Float[Array, "replicas n"] | None,
    key: PRNGKeyArray,
) -> Float[Array, "replicas n"]:
    """`start`, or spins drawn from `key`.

    **Raises:** `ValueError` for no replica, or for a start of another shape.
    """
    shape = (replicas, problem.size)
    if replicas < 1:
        raise ValueError(f"There must be at least one replica, not {replicas}.")
    if start is None:
        return jax.random.rademacher(key, shape, problem.field.dtype)
    if start.shape != shape:
        raise ValueError(f"`start` has shape {start.shape}, not {shape}.")
    return start.astype(problem.field.dtype)
