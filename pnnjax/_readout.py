"""The digital end of fixed physics: a linear readout, found without its derivative."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, PRNGKeyArray

from ._layer import AbstractLayer, Facts


@jax.jit
def ridge_regression(
    states: Float[Array, "rows features"],
    targets: Float[Array, "rows outputs"],
    strength: Float[Array, ""],
) -> tuple[Float[Array, "outputs features"], Float[Array, " outputs"]]:
    r"""Weight and bias of least $\|XW^\top + b - Y\|^2 + \lambda\|W\|^2$.

    By an orthogonal factorization of $(X, \sqrt\lambda)$ without the mean of $X$, and
    not through $X^\top X$, whose condition is the square. Of the smaller side: of
    $X^\top$, if there are more features than rows.

    **Error:** about $\epsilon\,\|X\|/\sqrt\lambda$, with $\epsilon$ that of the dtype.
    """
    (x, x_mean), (y, y_mean) = _centered(states), _centered(targets)
    rows, features = x.shape
    root = jnp.sqrt(strength)
    if features <= rows:
        # The columns of `y` go through the reflections too: no Q is formed.
        below = jnp.zeros((features, y.shape[1]), y.dtype)
        penalty = jnp.concatenate([root * jnp.eye(features, dtype=x.dtype), below], 1)
        system = jnp.concatenate([jnp.concatenate([x, y], 1), penalty])
        r = jnp.linalg.qr(system, mode="r")[:features]
        weight = solve_triangular(r[:, :features], r[:, features:]).T
    else:
        system = jnp.concatenate([x.T, root * jnp.eye(rows, dtype=x.dtype)])
        q, r = jnp.linalg.qr(system)
        weight = (_product(q[:features], solve_triangular(r, y, trans=1))).T
    return weight, y_mean - _product(weight, x_mean)


@jax.jit
def cross_validated_ridge(
    states: Float[Array, "rows features"],
    targets: Float[Array, "rows outputs"],
    strengths: Float[Array, " candidates"],
) -> tuple[Float[Array, "outputs features"], Float[Array, " outputs"]]:
    r"""Ridge regression of the strength with the least leave-one-out error.

    The squared error of each row, predicted from all others, is known in closed form:
    $e_i/(1 - h_i)$ with the residual $e_i$ and the leverage $h_i$. One singular value
    decomposition serves all strengths.

    **Source:** Allen, *Technometrics* 16, 125 (1974); Golub, Heath, Wahba,
    *Technometrics* 21, 215 (1979), doi:10.1080/00401706.1979.10489751.
    """
    (x, x_mean), (y, y_mean) = _centered(states), _centered(targets)
    u, s, vt = jnp.linalg.svd(x, full_matrices=False)
    rounding = max(x.shape) * jnp.finfo(x.dtype).eps
    kept = s > rounding * s[0]
    u = jnp.where(kept[None], u, 0)
    seen = _product(u.T, y)
    # What no feature can explain, whatever the strength.
    free = 1 - 1 / len(x) - jnp.sum(u**2, axis=1)
    beyond = jnp.where((free > rounding)[:, None], y - _product(u, seen), 0)
    free = jnp.where(free > rounding, free, 0)

    def error(strength):
        share = strength / (s**2 + strength)
        residual = beyond + _product(u * share[None], seen)
        return jnp.sum((residual / (free + _product(u**2, share))[:, None]) ** 2)

    best = strengths[jnp.argmin(lax.map(error, strengths))]
    gain = jnp.where(kept, s / (s**2 + best), 0)
    weight = _product(seen.T * gain[None], vt)
    return weight, y_mean - _product(weight, x_mean)


class Readout(AbstractLayer):
    r"""$y = Wx + b$ of measured states: all that is trained of a reservoir.

    The constructors find it without any derivative of the physics, which may be a
    device. They work under `jit`, and under `vmap` for several systems at once. After
    that it is a layer like others, with parameters that can be trained on.

    Behind any layer that is not trained, it makes an extreme learning machine; here,
    optical random features, whose kernel is $|x|^2|y|^2 + |x\cdot y^*|^2$ in the limit
    of many:

        matrix = pnn.optics.gaussian_medium(1000, 64, 1.0, key=key)
        camera = eqx.nn.Sequential(
            [pnn.optics.ScatteringMedium(matrix), pnn.optics.Intensity()]
        )
        readout = pnn.Readout.ridge(camera(x), targets, strength=0.1)
        machine = eqx.nn.Sequential([pnn.Frozen(camera), readout])

    **Source:** of that, Huang, Zhu, Siew, *Neurocomputing* 70, 489 (2006),
    doi:10.1016/j.neucom.2005.12.126; Saade *et al.*, *ICASSP* (2016), arXiv:1510.06664.
    """

    weight: Float[Array, "outputs features"]
    bias: Float[Array, " outputs"]
    facts = Facts()

    def __init__(
        self, weight: Float[Array, "outputs features"], bias: Float[Array, " outputs"]
    ):
        self.weight = weight
        self.bias = bias

    @classmethod
    def ridge(
        cls,
        states: Float[Array | np.ndarray, "*batch features"],
        targets: Float[Array | np.ndarray, "*batch outputs"],
        strength: float | Sequence[float] = 1e-8,
    ) -> "Readout":
        r"""Ridge regression: least $\sum\|y - Wx - b\|^2 + \lambda\|W\|^2$.

        **Arguments:**

        - `states`: what is measured; all leading axes are examples.
        - `targets`: one-hot for classes.
        - `strength`: $\lambda$ in the unit of the sum of squares over all examples,
            not of their mean. Of several, the one with the least leave-one-out error.

        **Raises:** `ValueError` for a strength that is not positive, or if states and
        targets are not of the same examples.
        **Error:** about $\epsilon\,\|X\|/\sqrt\lambda$, with $\epsilon$ that of the
        dtype: in float32, 1e-8 is enough of a penalty for thousands of states near 1.
        """
        x, y = _rows(states, targets)
        several = isinstance(strength, Sequence)
        _check_strengths(strength if several else [strength])
        solve = cross_validated_ridge if several else ridge_regression
        weight, bias = solve(x, y, jnp.asarray(strength, x.dtype))
        return cls(weight, bias)

    @classmethod
    def recursive(
        cls,
        states: Float[Array | np.ndarray, "*batch features"],
        targets: Float[Array | np.ndarray, "*batch outputs"],
        strength: float = 1e-8,
        *,
        forgetting: float = 1.0,
    ) -> "RecursiveReadout":
        """Ridge regression that learns on, example by example, as they come.

        `.update(states, targets)` is the next state of it, and `.readout` what it has
        learned. It begins with these examples, in their order.

        **Arguments:** `forgetting`: the weight of an example falls by this factor with
        each later one; and so does the penalty.
        **Raises:** `ValueError` as `ridge` does, and for a `forgetting` out of (0, 1].
        """
        x, y = _rows(states, targets)
        _check_strengths([strength])
        if not 0 < forgetting <= 1:
            raise ValueError(
                f"`forgetting` must be above 0 and at most 1, as 0.999, not "
                f"{forgetting}."
            )
        width = 1 + x.shape[1]
        penalty = jnp.full(width, math.sqrt(strength), x.dtype).at[0].set(0)
        blank = jnp.zeros((width, y.shape[1]), x.dtype)
        start = jnp.concatenate([jnp.diag(penalty), blank], 1)
        return RecursiveReadout(start, forgetting).update(x, y)

    @classmethod
    def logistic(
        cls,
        states: Float[Array | np.ndarray, "*batch features"],
        targets: Float[Array | np.ndarray, "*batch classes"],
        strength: float = 1.0,
        *,
        tolerance: float = 1e-6,
        steps: int = 1000,
    ) -> "Readout":
        r"""Multinomial logistic regression: $y$ are the logits of the classes.

        Least $-\sum\log p(\text{target}) + \tfrac\lambda2\|W\|^2$, by L-BFGS.

        **Arguments:**

        - `targets`: one-hot, or probabilities.
        - `strength`: $\lambda$; one over the `C` of scikit-learn.
        - `tolerance`: no slope of the mean over the examples is steeper in the end;
            `steps`: after so many it ends anyway.

        **Raises:** `ValueError` as `ridge` does.
        """
        x, y = _rows(states, targets)
        _check_strengths([strength])
        penalty = jnp.asarray(strength / len(x), x.dtype)
        # Inside optax, integers of two sizes meet.
        with jax.numpy_dtype_promotion("standard"):
            weight, bias = _logistic(x, y, penalty, tolerance, steps)
        return cls(weight, bias)

    def __call__(
        self,
        x: Float[Array, "*batch features"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch outputs"]:
        y = _product(x, self.weight.astype(x.dtype).T)
        return y + jnp.broadcast_to(self.bias.astype(x.dtype), y.shape)


class RecursiveReadout(eqx.Module):
    r"""What the examples seen so far have told: a triangular factor of their squares.

    $R$ of $(1, X, Y) = QR$, with each column's penalty. A pure state, to be carried
    through a `lax.scan`.

    **Error:** that of `Readout.ridge`; unlike the usual recursion of the inverse
    covariance, it does not lose its symmetry or sign by rounding.
    **Source:** Lawson, Hanson, *Solving Least Squares Problems* (1974), ch. 27.
    """

    factor: Float[Array, "unknowns columns"]
    forgetting: float = eqx.field(static=True)

    def update(
        self,
        states: Float[Array | np.ndarray, "*batch features"],
        targets: Float[Array | np.ndarray, "*batch outputs"],
    ) -> "RecursiveReadout":
        """After these examples; they cost a time of about features² each."""
        x, y = _rows(states, targets)
        rows = jnp.concatenate([jnp.ones((len(x), 1), x.dtype), x, y], 1)
        age = jnp.arange(len(x) - 1, -1, -1).astype(x.dtype)
        rows = rows * jnp.sqrt(self.forgetting**age)[:, None]
        before = self.forgetting ** (len(x) / 2) * self.factor
        return RecursiveReadout(_absorbed(before, rows), self.forgetting)

    @property
    def readout(self) -> Readout:
        """The ridge regression of all examples so far."""
        unknowns = len(self.factor)
        r, rest = self.factor[:, :unknowns], self.factor[:, unknowns:]
        solution = solve_triangular(r, rest)
        return Readout(solution[1:].T, solution[0])


@jax.jit
def _absorbed(factor, rows):
    """The triangular factor of both: a reflection for each of its rows."""

    def reflect(rows, item):
        number, own = item
        pivot, column = own[number], rows[:, number]
        length = jnp.sqrt(pivot**2 + jnp.sum(column**2))
        first = pivot + jnp.where(pivot < 0, -length, length)
        twice = 2 / jnp.where(length > 0, first**2 + jnp.sum(column**2), 1)
        along = twice * (first * own + _product(column, rows))
        return rows - column[:, None] * along[None], own - first * along

    return lax.scan(reflect, rows, (jnp.arange(len(factor)), factor))[1]


@jax.jit
def _logistic(x, y, penalty, tolerance, steps):
    import optax

    x, mean = _centered(x)
    search = optax.scale_by_backtracking_linesearch(30, store_grad=True)
    solver = optax.lbfgs(linesearch=search)

    def loss(parameters: Any) -> Array:
        weight, bias = parameters
        logits = _product(x, weight.T) + bias[None]
        mean = jnp.mean(optax.softmax_cross_entropy(logits, y))
        return mean + 0.5 * penalty * jnp.sum(weight**2)

    slope = optax.value_and_grad_from_state(loss)

    def unfinished(carry):
        _, _, gradient, step = carry
        steepest = jnp.max(jnp.stack([jnp.max(jnp.abs(slopes)) for slopes in gradient]))
        return (steepest > tolerance) & (step < steps)

    def improved(carry: Any) -> Any:
        parameters, state, _, step = carry
        value, gradient = slope(parameters, state=state)
        updates, state = solver.update(
            gradient, state, parameters, value=value, grad=gradient, value_fn=loss
        )
        parameters = optax.apply_updates(parameters, updates)
        return parameters, state, optax.tree.get(state, "grad"), step + 1

    zeros = jnp.zeros((y.shape[1], x.shape[1]), x.dtype), jnp.zeros(y.shape[1], x.dtype)
    unknown = jax.tree.map(lambda z: z + jnp.inf, zeros)
    start: Any = zeros, solver.init(zeros), unknown, 0
    (weight, bias), *_ = lax.while_loop(unfinished, improved, start)
    return weight, bias - _product(weight, mean)


def _centered(values):
    mean = jnp.mean(values, axis=0)
    return values - mean[None], mean


def _rows(states, targets):
    if states.shape[:-1] != targets.shape[:-1]:
        raise ValueError(
            f"`states` of shape {states.shape} and `targets` of shape {targets.shape} "
            "are not of the same examples: all axes but the last must agree."
        )
    x = jnp.asarray(states).reshape(-1, states.shape[-1])
    return x, jnp.asarray(targets, x.dtype).reshape(-1, targets.shape[-1])


def _product(a, b):
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def _check_strengths(strengths):
    if not strengths or not all(0 < s < math.inf for s in strengths):
        raise ValueError(
            f"A strength must be positive and finite, not {strengths}: 1e-12 of the "
            "sum of squares is nearly none."
        )
