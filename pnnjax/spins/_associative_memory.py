"""Hopfield's associative memory: patterns as the minima of an Ising energy."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ._ising import IsingProblem

Recall = Callable[[IsingProblem, Array], Array]
"""A dynamics that takes `"*batch n"` spins to where they come to rest."""

_MOST_SWEEPS = 1000


def hebbian(patterns: Float[Array, "p n"]) -> Float[Array, "n n"]:
    r"""$J = \tfrac1n \sum_\mu \xi^\mu \xi^{\mu\top}$ with an empty diagonal.

    **Source:** Hopfield, *PNAS* 79, 2554 (1982), doi:10.1073/pnas.79.8.2554.
    """
    return _without_diagonal(patterns.T @ patterns / patterns.shape[1])


def pseudo_inverse(patterns: Float[Array, "p n"]) -> Float[Array, "n n"]:
    r"""$J = \xi^+\xi$, the projection on what the patterns span; an empty diagonal.

    Linearly independent patterns are fixed points, correlated ones too.

    **Source:** Personnaz, Guyon & Dreyfus, *J. Physique Lett.* 46, 359 (1985),
    doi:10.1051/jphyslet:01985004608035900.
    """
    projection = jnp.linalg.pinv(patterns) @ patterns
    return _without_diagonal((projection + projection.T) / 2)


def overlap(
    spins: Float[Array, "*batch n"], pattern: Float[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    r"""$m = \tfrac1n \sum_i s_i \xi_i$: 1 where they agree, 0 if by chance only."""
    return jnp.mean(spins * pattern, axis=-1)


def corrupt(
    patterns: Float[Array, "*batch n"], fraction: float, *, key: PRNGKeyArray
) -> Float[Array, "*batch n"]:
    """Each pattern with that fraction of its spins flipped, drawn at random.

    **Raises:** `ValueError` if the fraction is not within 0 to 1.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"A fraction of the spins is in [0, 1], not {fraction}.")
    places = jax.random.uniform(key, patterns.shape).argsort(axis=-1).argsort(axis=-1)
    return jnp.where(places < round(fraction * patterns.shape[-1]), -patterns, patterns)


@eqx.filter_jit
def zero_temperature(
    problem: IsingProblem, spins: Float[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """Visit the spins in turn; each flips if that lowers the energy, until none does.

    This is Metropolis' rule without temperature, and Hopfield's asynchronous recall.

    **Raises:** at run time, if the spins have not come to rest in a thousand sweeps.
    """
    columns = spins.reshape(-1, problem.size).T

    def sweep(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        spins, _, count = state
        moved = problem.sweep(spins, _align, spins)
        return moved, jnp.any(moved != spins), count + 1

    def moving(state: tuple[Array, Array, Array]) -> Bool[Array, ""]:
        return state[1] & (state[2] < _MOST_SWEEPS)

    begin = (columns, jnp.asarray(True), jnp.asarray(0))
    rest, restless, _ = jax.lax.while_loop(moving, sweep, begin)
    message = f"The spins did not come to rest in {_MOST_SWEEPS} sweeps."
    return eqx.error_if(rest, restless, message).T.reshape(spins.shape)


class AssociativeMemory(eqx.Module):
    """Spins that are set to a cue, and fall into a minimum nearby: what it recalls.

    `AssociativeMemory(hebbian(patterns))` is Hopfield's; the rule that set the
    couplings and the dynamics of the recall may be others.

    **Valid for:** fewer random patterns than 0.138 a spin, by Hebb's rule.
    **Source:** Hopfield, *PNAS* 79, 2554 (1982), doi:10.1073/pnas.79.8.2554.
    """

    problem: IsingProblem
    recall: Recall = eqx.field(static=True)

    def __init__(
        self, couplings: Float[Array, "n n"], recall: Recall = zero_temperature
    ):
        """Recall by `couplings`, symmetric with an empty diagonal.

        **Arguments:** `recall`: how the spins settle, such as `steepest_descent`.
        """
        self.problem = IsingProblem(couplings)
        self.recall = recall

    def __call__(self, cue: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Where the spins rest that began as the cue (+1 or -1 each)."""
        if cue.shape[-1:] != (self.problem.size,):
            raise ValueError(
                f"A cue for {self.problem.size} spins can't have shape {cue.shape}."
            )
        wrong = jnp.any(cue**2 != 1)
        return self.recall(
            self.problem, eqx.error_if(cue, wrong, "A cue's spins are +1 or -1.")
        )


def capacity_curve(
    n: int,
    loads: Float[np.ndarray, " loads"],
    *,
    key: PRNGKeyArray,
    probes: int = 32,
    flipped: float = 0.0,
    recall: Recall = zero_temperature,
) -> Float[Array, "loads probes"]:
    r"""Overlap of what a Hebbian memory of `n` spins recalls with what was asked for.

    At each load $\alpha = p/n$ it stores $p$ random patterns and is asked for the first
    `probes` of them, by cues a fraction `flipped` of whose spins is wrong.

    **Raises:** `ValueError` if a load stores fewer patterns than are asked for.
    """
    counts = np.rint(np.asarray(loads) * n).astype(int)
    if counts.min(initial=n) < probes:
        raise ValueError(
            f"A load of {min(loads)} stores {counts.min()} patterns in {n} spins; "
            f"{probes} can't be asked for."
        )
    pattern_key, cue_key = jax.random.split(key)
    shape = (int(counts.max(initial=probes)), n)
    patterns = jax.random.rademacher(pattern_key, shape, jnp.result_type(float))
    cues = corrupt(patterns[:probes], flipped, key=cue_key)

    return jnp.stack(
        [_recalled(patterns, cues, jnp.asarray(count), recall) for count in counts]
    )


def mean_field_overlap(load: float) -> float:
    r"""Overlap that infinitely many Hebbian spins keep with a pattern, at no
    temperature; 0 above the critical load.

    With $y = m/\sqrt{2\alpha r}$ the replica-symmetric equations reduce to
    $\sqrt{2\alpha} = \operatorname{erf}(y)/y - (2/\sqrt\pi)\,e^{-y^2}$ and
    $m = \operatorname{erf}(y)$; the larger solution is the stable one.

    **Raises:** `ValueError` if the load is not positive.
    **Source:** Amit, Gutfreund & Sompolinsky, *Phys. Rev. Lett.* 55, 1530 (1985),
    doi:10.1103/PhysRevLett.55.1530.
    """
    from scipy.optimize import root_scalar

    if not load > 0:
        raise ValueError(f"A load must be positive, not {load}.")
    fold = _fold()
    if load > _load_at(fold):
        return 0.0
    # At large y the load is 1 / (2 y^2).
    far = 1 / math.sqrt(2 * load) + 1
    solution = root_scalar(lambda y: _load_at(y) - load, bracket=(fold, far))
    return math.erf(solution.root)


def critical_load() -> float:
    r"""The load above which `mean_field_overlap` is zero: $\alpha_c = 0.138$."""
    return _load_at(_fold())


@eqx.filter_jit
def _recalled(
    patterns: Float[Array, "p n"],
    cues: Float[Array, "probes n"],
    count: Int[Array, ""],
    recall: Recall,
) -> Float[Array, " probes"]:
    """The overlaps where the first `count` of the patterns are stored."""
    # Empty rows store nothing: one program for all loads.
    stored = jnp.where(jnp.arange(len(patterns))[:, None] < count, patterns, 0)
    memory = AssociativeMemory(hebbian(stored), recall)
    return overlap(memory(cues), patterns[: len(cues)])


def _load_at(y: float) -> float:
    root = math.erf(y) / y - 2 / math.sqrt(math.pi) * math.exp(-(y**2))
    return root**2 / 2


def _fold() -> float:
    """Where two solutions meet: the load is greatest, its derivative zero."""
    from scipy.optimize import root_scalar

    def slope(y: float) -> float:
        gauss = 2 / math.sqrt(math.pi) * math.exp(-(y**2))
        return gauss * (1 + 2 * y**2) - math.erf(y) / y

    return root_scalar(slope, bracket=(0.5, 4.0)).root


def _align(spins: Array, field: Array, draws: Array) -> Array:
    del draws  # nothing is random
    return jnp.where(spins * field < 0, -spins, spins)


def _without_diagonal(couplings: Float[Array, "n n"]) -> Float[Array, "n n"]:
    return jnp.where(jnp.eye(len(couplings), dtype=bool), 0, couplings)
