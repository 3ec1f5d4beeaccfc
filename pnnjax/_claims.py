"""Holding an estimator to its claim, against the exact gradient."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from ._estimator import AbstractEstimator, Biased, Claim, Exact, Order, Unbiased
from ._frozen import is_trainable
from ._layer import respond
from ._physical import Physical


class ClaimReport(NamedTuple):
    """What a claim says, and what was measured."""

    claim: Claim
    held: bool
    measured: float
    """A relative error, a slope, a deviation in standard errors, or a cosine."""
    bound: float


def hold_to_claim(
    layer: Any,
    estimator: AbstractEstimator,
    x: Inexact[Array, "..."],
    *,
    key: PRNGKeyArray,
    samples: int = 256,
) -> ClaimReport:
    """Measure an estimator against the layer's own derivative, and judge its claim.

    The cotangent at the output is drawn from `key`. *Exact*: the relative error of the
    parameters' and the input's cotangents together. *Order*: the slope of that error
    while the small parameter is halved four times; more than claimed is fine, and so
    is an error that is rounding (1e-9) at every size.
    *Unbiased*: how far the mean of `samples` gradients is off along the exact one and
    along seven random directions, in standard errors. *Biased*: the cosine.

    **Raises:** `ValueError` unless `x` is in double precision: a claim is not to be
    judged by rounding.
    """
    if x.dtype not in (jnp.float64, jnp.complex128):
        raise ValueError(
            f"Claims are judged in double precision, but x is {x.dtype}: set "
            "`jax.config.update('jax_enable_x64', True)` first."
        )
    y_bar = _random_like(eqx.filter_eval_shape(respond, layer, x, None), key)
    exact = _cotangents(layer, x, y_bar, None)

    def estimate(estimator, key=None):
        return _cotangents(Physical(layer, estimator), x, y_bar, key)

    match estimator.claim:
        case Exact(rtol):
            error = relative_error(estimate(estimator), exact)
            return ClaimReport(estimator.claim, error <= rtol, error, rtol)
        case Biased(min_cosine):
            cosine = cosine_similarity(estimate(estimator), exact)
            return ClaimReport(
                estimator.claim, cosine >= min_cosine, cosine, min_cosine
            )
        case Order(p, in_):
            start = getattr(estimator, in_)
            steps = np.asarray([1.0, 0.5, 0.25, 0.125, 0.0625])
            errors = [
                relative_error(
                    estimate(
                        eqx.tree_at(lambda e: getattr(e, in_), estimator, start * step)
                    ),
                    exact,
                )
                for step in steps
            ]
            if max(errors) < 1e-9:
                return ClaimReport(estimator.claim, True, float("inf"), p)
            slope = float(np.polyfit(np.log(steps), np.log(errors), 1)[0])
            return ClaimReport(estimator.claim, slope >= p - 0.15, slope, p)
        case Unbiased():
            keys = jax.random.split(key, samples)
            draws = eqx.filter_jit(
                lambda keys: jax.lax.map(lambda k: estimate(estimator, k), keys)
            )(keys)
            deviation = _deviation(draws, exact, key)
            return ClaimReport(estimator.claim, deviation <= 4, deviation, 4)


def cosine_similarity(a: PyTree[Array | None], b: PyTree[Array | None]) -> float:
    """Of two gradients, as one real vector each: 1 if they point the same way."""
    u, v = _flat(a), _flat(b)
    return float(jnp.vdot(u, v) / (jnp.linalg.norm(u) * jnp.linalg.norm(v)))


def relative_error(
    measured: PyTree[Array | None], exact: PyTree[Array | None]
) -> float:
    """The norm of the difference over the norm of `exact`."""
    u, v = _flat(measured), _flat(exact)
    return float(jnp.linalg.norm(u - v) / jnp.linalg.norm(v))


@eqx.filter_jit
def _cotangents(model, x, y_bar, key):
    trained, rest = eqx.partition(model, is_trainable(model))
    _, pullback = jax.vjp(
        lambda trained, x: respond(eqx.combine(trained, rest), x, key), trained, x
    )
    return jax.tree.leaves(pullback(y_bar))


def _flat(tree: PyTree[Array | None]) -> Float[Array, " n"]:
    leaves = [jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)]
    parts = [
        part
        for leaf in leaves
        for part in ((leaf.real, leaf.imag) if jnp.iscomplexobj(leaf) else (leaf,))
    ]
    return jnp.concatenate(parts)


def _random_like(y, key):
    parts = jax.random.normal(key, (2, *y.shape), jnp.finfo(y.dtype).dtype)
    complex_ = jnp.issubdtype(y.dtype, jnp.complexfloating)
    return jax.lax.complex(*parts) if complex_ else parts[0]


def _deviation(draws, exact, key) -> float:
    samples = jax.vmap(_flat)(draws)
    target = _flat(exact)
    random = jax.random.normal(key, (7, target.size), target.dtype)
    directions = jnp.concatenate([target[None], random])
    along = samples @ directions.T
    error = along.mean(0) - directions @ target
    spread = along.std(0, ddof=1) / len(samples) ** 0.5
    return float(jnp.max(jnp.abs(error) / spread))
