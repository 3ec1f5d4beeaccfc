"""What a driven system remembers of its input, and what it computes of it."""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

CHANCE = 1e-4
"""How often a function of which the states know nothing would be counted."""


class Capacities(NamedTuple):
    """How well each function of the past input can be read out linearly, 0 to 1."""

    values: Float[Array, " functions"]
    lags: tuple[tuple[int, ...], ...]
    """Of each function the delays that it multiplies: `(0, 0, 3)` is the second
    Legendre polynomial of the input now, times the input three steps ago."""

    def total(self) -> Float[Array, ""]:
        """At most the number of independent states."""
        return jnp.sum(self.values)

    def by_degree(self) -> Float[Array, " degrees"]:
        """The sum over the functions of degree 1, 2, and so on; 1 is linear memory."""
        degrees = np.asarray([len(lags) for lags in self.lags])
        members = np.arange(1, degrees.max() + 1)[:, None] == degrees
        return jnp.asarray(members, self.values.dtype) @ self.values


def memory_curve(
    states: Float[Array, "time units"], inputs: Float[Array, " steps"], delays: int
) -> Float[Array, " delays"]:
    r"""How much of the input of 0, 1, ... steps ago a linear readout recovers.

    $C_k = \rho^2\!\left(y_k(t),\,u(t - k)\right)$ for the best readout $y_k$, corrected
    for how many states could fit it by chance, and zero if it may be chance.

    **Arguments:** `inputs`: white noise, such as that of a uniform distribution;
    `states[t]` knows of `inputs[t]`. Leave out the states before they forget their
    start.
    **Raises:** `ValueError` if the series is too short to tell.
    **Error:** about $2C(1-C)/\sqrt{T}$ each. What states show only below rounding
    counts as not there: in float32, a long memory is underrated.
    **Source:** Jaeger, *Short term memory in echo state networks*, GMD Report 152
    (2002).
    """
    _check(states, inputs, delays)
    alone = jnp.asarray([[(1, delay)] for delay in range(delays)])
    return _capacities(states, inputs, alone, delays, 1)


def memory_capacity(
    states: Float[Array, "time units"], inputs: Float[Array, " steps"], delays: int
) -> Float[Array, ""]:
    """The sum of the `memory_curve`: at most the number of independent states.

    `delays` should reach to where nothing is remembered.
    """
    return jnp.sum(memory_curve(states, inputs, delays))


def information_processing_capacity(
    states: Float[Array, "time units"],
    inputs: Float[Array, " steps"],
    delays: Sequence[int],
) -> Capacities:
    r"""How well products of Legendre polynomials of past inputs can be read out.

    These are orthogonal for inputs that are independent and uniform from -1 to 1, so
    that the total is at most the number of independent states, and equal to it for one
    that forgets.

    **Arguments:** `delays`: for the functions of degree 1, 2, ..., how many delays they
    may have, such as `(50, 20, 10)`; `inputs` and `states` as in `memory_curve`.
    **Raises:** `ValueError` if the series is too short to tell; at run time, if an
    input is beyond 1.
    **Error:** as `memory_curve`.
    **Source:** Dambre, Verstraeten, Schrauwen, Massar, *Sci. Rep.* 2, 514 (2012),
    doi:10.1038/srep00514.
    """
    if not delays or min(delays) < 1:
        raise ValueError(
            "`delays` needs a number of at least 1 for each degree, such as (50, 20), "
            f"but is {tuple(delays)}."
        )
    window = max(delays)
    _check(states, inputs, window)
    inputs = eqx.error_if(
        inputs, jnp.abs(inputs) > 1, "An input is beyond -1 to 1: rescale it."
    )
    lags = [
        chosen
        for degree, reach in enumerate(delays, 1)
        for chosen in itertools.combinations_with_replacement(range(reach), degree)
    ]
    factors = jnp.asarray([_factors(chosen, len(delays)) for chosen in lags])
    values = _capacities(states, inputs, factors, window, len(delays))
    return Capacities(values, tuple(lags))


@functools.partial(jax.jit, static_argnums=(3, 4))
def _capacities(states, inputs, functions, window, degree):
    """Of products of factors, each the degree and the delay of a polynomial."""
    states = states[window - 1 :]
    samples, units = states.shape
    basis, rank = _basis(states)
    table = _legendre(_lagged(inputs, window), degree)

    def capacity(factors):
        z = jnp.prod(table[factors[:, 0], factors[:, 1]], axis=0)
        z = z - jnp.mean(z)
        share = jnp.sum((basis.T @ z) ** 2) / jnp.sum(z**2)
        # As many states fit pure noise by rank / (samples - 1) on average.
        fair = 1 - (1 - share) * (samples - 1) / (samples - 1 - rank)
        return jnp.where(share > _threshold(units, samples), fair, 0)

    return jax.lax.map(capacity, functions, batch_size=32)


def _basis(states):
    """Orthonormal signals that span the states, zeros for those that add none."""
    centered = states - jnp.mean(states, axis=0, keepdims=True)
    signals, sizes, _ = jnp.linalg.svd(centered, full_matrices=False)
    least = jnp.finfo(states.dtype).eps * states.shape[0] * sizes[0]
    counts = (sizes > least).astype(states.dtype)
    return signals * counts[None], jnp.sum(counts)


def _threshold(units, samples):
    """The share that noise exceeds with the probability `CHANCE`."""
    from scipy.special import chdtri

    return float(chdtri(units, CHANCE)) / samples


def _lagged(inputs, delays):
    """Rows: the input of 0, 1, ... steps ago, where there is one for all."""
    length = inputs.shape[0] - delays + 1
    rows = [inputs[delays - 1 - k : delays - 1 - k + length] for k in range(delays)]
    return jnp.stack(rows)


def _legendre(x, degree):
    """The polynomials of degree 0 to `degree`, by Bonnet's recursion."""
    rows = [jnp.ones_like(x), x]
    for n in range(2, degree + 1):
        rows.append(((2 * n - 1) * x * rows[-1] - (n - 1) * rows[-2]) / n)
    return jnp.stack(rows[: degree + 1])


def _factors(lags, count):
    """Which polynomials of which delays to multiply, filled up with the constant."""
    orders = [(len(list(same)), lag) for lag, same in itertools.groupby(lags)]
    return orders + [(0, 0)] * (count - len(orders))


def _check(states, inputs, delays):
    if states.shape[0] != inputs.shape[0]:
        raise ValueError(
            f"There are states at {states.shape[0]} times, but {inputs.shape[0]} "
            "inputs."
        )
    needed = delays - 1 + 4 * states.shape[1]
    if states.shape[0] < needed or delays < 1:
        raise ValueError(
            f"{states.shape[0]} samples are too few for {states.shape[1]} states and "
            f"{delays} delays: give at least {needed}, better ten times as many."
        )
