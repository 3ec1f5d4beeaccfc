"""What looks for the spin configuration of least energy."""

import abc

import equinox as eqx
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
