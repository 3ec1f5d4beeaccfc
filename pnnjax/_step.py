"""The compiled part of training: any number of optimizer steps, and predictions."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Bool, Inexact, Int, PRNGKeyArray, PyTree, Shaped

from ._estimator import AbstractEstimator
from ._frozen import Frozen, is_trainable
from ._layer import AbstractBoundedLayer
from ._objective import AbstractLocalObjective, Objective, loss_of, predictions_of
from ._search import AbstractSearch
from ._sharding import Placement

LOSSES = 4096
"""How many steps one call can make: the length of the record that it returns."""


class State(NamedTuple):
    """All that a step changes."""

    step: Int[Array, ""]
    trained: PyTree
    """The trainable leaves of the model; `None` elsewhere."""
    memory: PyTree
    """The optimizer's."""


class Task(eqx.Module):
    """All that no step changes."""

    x: Shaped[Array, "examples ..."]
    y: Shaped[Array, "examples ..."]
    fixed: PyTree
    """The model without its trainable leaves."""
    order_key: PRNGKeyArray
    noise_key: PRNGKeyArray | None
    search_key: PRNGKeyArray
    objective: Objective | AbstractLocalObjective
    optimizer: optax.GradientTransformationExtraArgs | AbstractSearch
    batch_size: int
    loss_dtype: Any = eqx.field(static=True)
    placement: Placement | None = eqx.field(static=True, default=None)
    """On which devices; if on one, nothing is said of it."""

    def model(self, trained: PyTree) -> Any:
        """With these parameters."""
        return eqx.combine(trained, self.fixed)

    def order(self, step: Int[Array, ""]) -> Int[Array, " examples"]:
        """In which order the epoch of `step` goes through the examples."""
        epoch = step // self.steps_per_epoch
        key = jax.random.fold_in(self.order_key, epoch)
        order = jax.random.permutation(key, len(self.x))
        return order if self.placement is None else self.placement.everywhere(order)

    def rows(
        self, order: Int[Array, " examples"], step: Int[Array, ""]
    ) -> Int[Array, " batch"]:
        """The examples of the batch at `step`."""
        first = step % self.steps_per_epoch * self.batch_size
        return lax.dynamic_slice_in_dim(order, first, self.batch_size)

    def examples(self, rows: Int[Array, " batch"]) -> tuple[Array, Array]:
        """Inputs and targets of the batch; each device takes its own."""
        if self.placement is None:
            return self.x[rows], self.y[rows]
        return self.placement.cut((self.x[rows], self.y[rows]))

    def keys(self, step: Int[Array, ""]) -> Array | None:
        """A key for the noise of each example of the batch at `step`."""
        return example_keys(self.noise_key, step, self.batch_size)

    def placed(self) -> "Task":
        """The same, with its arrays on the devices of the placement."""
        if self.placement is None:
            return self
        arrays, rest = eqx.partition(self, eqx.is_array)
        fixed = self.placement.place(arrays.fixed)
        whole = self.placement.replicate(eqx.tree_at(_fixed, arrays, None))
        arrays = eqx.tree_at(_fixed, whole, fixed, is_leaf=lambda node: node is None)
        return eqx.combine(arrays, rest)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches: what remains of the examples is left out, others each time."""
        return len(self.x) // self.batch_size


@eqx.filter_jit
def advance(
    task: Task, state: State, stop: Int[Array, ""]
) -> tuple[State, Inexact[Array, " losses"], Bool[Array, ""]]:
    """Make the steps up to `stop`, `LOSSES` at most.

    How many is not known when compiling, so that the same program runs however a
    training run is cut up, and gives the same bits.

    **Returns:** the new state; the loss of each step made; whether all was finite. If
    not, the state is that before the bad step, whose loss is recorded too.
    """
    start = state.step
    spe = task.steps_per_epoch

    def epoch(carry):
        order = task.order(carry[0].step)
        end = jnp.minimum(stop, (carry[0].step // spe + 1) * spe)
        return lax.while_loop(lambda c: (c[0].step < end) & c[2], step(order), carry)

    def step(order):
        def body(carry):
            state, losses, _ = carry
            new, loss, finite = one_step(task, state, order)
            losses = losses.at[state.step - start].set(loss)
            return _select(finite, new, state), losses, finite

        return body

    losses = jnp.zeros(LOSSES, task.loss_dtype)
    carry = (state, losses, jnp.asarray(True))
    end = lax.while_loop(lambda c: (c[0].step < stop) & c[2], epoch, carry)
    if task.placement is None:
        return end
    return _held(task, end[0]), *task.placement.everywhere(end[1:])


@eqx.filter_jit
def predict(
    objective: Objective | AbstractLocalObjective,
    model: Any,
    x: Shaped[Array, "examples ..."],
    key: PRNGKeyArray | None,
    batch_size: int,
    placement: Placement | None = None,
) -> PyTree[Array]:
    """What metrics see of each example, `batch_size` of them at a time."""
    count = len(x)
    size = min(batch_size, count)
    batches = -(-count // size)
    # The last batch is filled up from the first one, so that one shape is compiled.
    rows = (jnp.arange(batches * size) % count).reshape(batches, size)

    def one_batch(operands):
        batch, rows = operands
        own = x[rows] if placement is None else placement.cut(x[placement.cut(rows)])
        return predictions_of(objective, model, own, example_keys(key, batch, size))

    outputs = lax.map(one_batch, (jnp.arange(batches), rows))
    outputs = jax.tree.map(
        lambda out: out.reshape(batches * size, *out.shape[2:])[:count], outputs
    )
    return outputs if placement is None else placement.everywhere(outputs)


def example_keys(
    key: PRNGKeyArray | None, index: Int[Array, ""], count: int
) -> Array | None:
    """`count` keys that belong to `index`; none from none."""
    if key is None:
        return None
    return jax.random.split(jax.random.fold_in(key, index), count)


def project(tree: PyTree) -> PyTree:
    """Every bounded layer that is trained, moved to the nearest that can be built."""

    def fix(node: Any) -> Any:
        if isinstance(node, Frozen | AbstractEstimator):
            return node
        if isinstance(node, AbstractBoundedLayer):
            return inside(node.project())
        return node

    def inside(parent: Any) -> Any:
        kinds = AbstractBoundedLayer | Frozen | AbstractEstimator
        return jax.tree.map(
            fix, parent, is_leaf=lambda n: n is not parent and isinstance(n, kinds)
        )

    return fix(tree) if isinstance(tree, AbstractBoundedLayer) else inside(tree)


def one_step(
    task: Task, state: State, order: Int[Array, " examples"]
) -> tuple[State, Inexact[Array, ""], Bool[Array, ""]]:
    """The state after a step, finite or not; the loss before it; whether it is."""
    rows = task.rows(order, state.step)
    x, y = task.examples(rows)
    if isinstance(task.optimizer, AbstractSearch):
        trained, memory, loss = _searched(task, task.optimizer, state, x, y)
    else:
        trained, memory, loss = _descended(task, task.optimizer, state, x, y)
    finite = _all_finite((loss, trained))
    model = project(task.model(trained))
    trained = eqx.filter(model, is_trainable(model))
    return _held(task, State(state.step + 1, trained, memory)), loss, finite


def _descended(
    task: Task,
    optimizer: optax.GradientTransformationExtraArgs,
    state: State,
    x: Array,
    y: Array,
) -> tuple[PyTree, PyTree, Inexact[Array, ""]]:
    keys = task.keys(state.step)

    def loss(trained: PyTree) -> Inexact[Array, ""]:
        return loss_of(task.objective, task.model(trained), x, y, keys)

    value, bar = jax.value_and_grad(loss)(state.trained)
    # JAX's cotangent of a complex parameter is the conjugate of the way uphill.
    gradient = jax.tree.map(jnp.conj, bar)
    # What optax computes from its counters is refused by strict promotion.
    with jax.numpy_dtype_promotion("standard"):
        updates, memory = optimizer.update(
            gradient, state.memory, state.trained, value=value
        )
        return optax.apply_updates(state.trained, updates), memory, value


def _searched(
    task: Task, search: AbstractSearch, state: State, x: Array, y: Array
) -> tuple[PyTree, PyTree, Inexact[Array, ""]]:
    def loss(trained: PyTree, key: PRNGKeyArray) -> Inexact[Array, ""]:
        keys = None if task.noise_key is None else jax.random.split(key, len(x))
        # What is tried must be possible to build, too.
        return loss_of(task.objective, project(task.model(trained)), x, y, keys)

    key = jax.random.fold_in(task.search_key, state.step)
    return search.step(loss, state.memory, state.trained, key=key)


def _fixed(task: Task) -> PyTree:
    return task.fixed


def _held(task: Task, state: State) -> State:
    if task.placement is None:
        return state
    trained = task.placement.held(state.trained)
    memory = task.placement.held(state.memory, beside=trained)
    return State(task.placement.everywhere(state.step), trained, memory)


def _all_finite(tree: PyTree) -> Bool[Array, ""]:
    finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]
    return jnp.stack(finite).all()


def _select(condition: Bool[Array, ""], new: PyTree, old: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: lax.select(condition, a, b), new, old)
