"""Settling into a steady state, one step of the dynamics after the other."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, PyTree

Step = Callable[[PyTree[Array]], PyTree[Array]]


class AbstractRelaxation(eqx.Module):
    """How long a system is left to settle."""

    @abc.abstractmethod
    def __call__(
        self, step: Step, state: PyTree[Array], *, nudged: bool
    ) -> PyTree[Array]:
        """Repeat `step` from `state`; `nudged` says which phase this is."""


class FixedSteps(AbstractRelaxation):
    """A given number of steps, settled or not; differentiated through every step.

    **Arguments:** `free` and `nudged` count the steps of the two phases. The nudged one
    starts from the free state, near its own, so that fewer do.
    **Raises:** `ValueError` for a count below one.
    """

    free: int = eqx.field(static=True)
    nudged: int = eqx.field(static=True)

    def __init__(self, free: int, nudged: int):
        if free < 1 or nudged < 1:
            raise ValueError(
                f"A relaxation takes at least one step, not free={free}, "
                f"nudged={nudged}."
            )
        self.free = free
        self.nudged = nudged

    def __call__(
        self, step: Step, state: PyTree[Array], *, nudged: bool
    ) -> PyTree[Array]:
        length = self.nudged if nudged else self.free
        return lax.scan(lambda s, _: (step(s), None), state, None, length=length)[0]


class UntilSettled(AbstractRelaxation):
    """Steps until none moves the state by more than the tolerance.

    The state $s = T(s)$ is differentiated implicitly, whatever the number of steps.

    **Arguments:** the relative and absolute tolerance of one step's largest change, and
    the number of steps after which it is an error not to have settled.
    **Raises:** `ValueError` for a tolerance or a count that is not positive; and, when
    it runs, an error that says that the state has not settled.
    """

    rtol: float = eqx.field(static=True)
    atol: float = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)

    def __init__(self, rtol: float = 1e-6, atol: float = 1e-6, max_steps: int = 10_000):
        if min(rtol, atol) <= 0 or max_steps < 1:
            raise ValueError(
                "Tolerances and the number of steps must be positive, not "
                f"rtol={rtol}, atol={atol}, max_steps={max_steps}."
            )
        self.rtol = rtol
        self.atol = atol
        self.max_steps = max_steps

    def __call__(
        self, step: Step, state: PyTree[Array], *, nudged: bool
    ) -> PyTree[Array]:
        import optimistix as optx

        del nudged
        narrow = jax.tree.map(lambda s: s.dtype, state)

        def move(wide, _):
            return _widened(step(_narrowed(wide, narrow)))

        solution = optx.fixed_point(
            move,
            optx.FixedPointIteration(self.rtol, self.atol),
            _widened(state),
            adjoint=optx.ImplicitAdjoint(_linear_solver(state, self.rtol)),
            max_steps=self.max_steps,
            throw=False,
        )
        settled = eqx.error_if(
            solution.value,
            solution.result != optx.RESULTS.successful,
            f"The state did not settle within {self.max_steps} steps to "
            f"rtol={self.rtol}, atol={self.atol}: take more or smaller steps, a larger "
            "tolerance, weaker couplings, or a smaller nudge.",
        )
        return _narrowed(settled, narrow)


def _linear_solver(state, rtol):
    """Dense where that is small; else iterative, to the relaxation's own tolerance."""
    import lineax as lx

    if sum(leaf.size for leaf in jax.tree.leaves(state)) <= 1024:
        return lx.AutoLinearSolver(well_posed=True)
    return lx.GMRES(rtol=rtol, atol=rtol)


def _widened(state):
    """Real and imaginary parts, in the default dtype, which is the solver's own."""
    real = jnp.zeros(()).dtype

    def widen(s):
        parts = (s.real, s.imag) if jnp.iscomplexobj(s) else (s,)
        return tuple(part.astype(real) for part in parts)

    return jax.tree.map(widen, state)


def _narrowed(wide, dtypes):
    def narrow(dtype, parts):
        real = jnp.finfo(dtype).dtype
        parts = tuple(part.astype(real) for part in parts)
        return lax.complex(*parts) if len(parts) == 2 else parts[0]

    return jax.tree.map(narrow, dtypes, wide)
