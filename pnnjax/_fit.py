"""The training loop: many optimizer steps in one compiled call."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import PRNGKeyArray, PyTree

from ._checkpoint import digest
from ._frozen import is_trainable
from ._history import History
from ._objective import AbstractLocalObjective, Objective
from ._parts import Parts, loss_dtype, parts_of
from ._processes import Processes
from ._search import AbstractSearch
from ._session import Plan, Snapshot, Store, Test, run_session, strong
from ._sharding import Placement, Shard, placement_of, processes_of
from ._step import State, Task


class FitResult(NamedTuple):
    """What training leaves."""

    model: PyTree
    """With the trained parameters."""
    history: History


def fit(
    model: Any,
    data: Any,  # `(x, y)` or a `Dataset`
    objective: Objective | AbstractLocalObjective,
    optimizer: optax.GradientTransformation | AbstractSearch,
    *,
    epochs: int,
    key: PRNGKeyArray,
    batch_size: int = 32,
    metrics: Mapping[str, Callable[[Any, Any], Any]] = {},
    evaluate_every: int = 1,  # epochs
    noisy: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,  # steps
    resume: bool = False,
    steps_per_call: int | None = None,
    progress: bool = True,
    mesh: Mesh | None = None,
    shard: Shard | None = None,
) -> FitResult:
    """Minimize `objective(predictions, targets)` over mini-batches.

    The model is called as `jax.vmap(model)(x)`: inside `Physical`, one physical batch.
    What `is_trainable` marks is trained, and after each update every
    `AbstractBoundedLayer` is projected. Each epoch goes through the examples in a new
    order, in whole batches.

    **Arguments:**

    - `data`: `(x, y)`, or a `Dataset` (any named tuple with `train_x`, `train_y`,
        `test_x`, `test_y`).
    - `objective`: a function, or a local objective, which runs the model itself.
    - `optimizer`: of `optax`; or a search, which is told the loss of each batch for
        the parameters that it wants to try, so that nothing is differentiated.
    - `metrics`: `metric(predictions, targets)` by name, taken of the whole test part
        every `evaluate_every` epochs and at the end, with layers such as
        `eqx.nn.Dropout` in inference mode.
    - `noisy`: give each example a key (`model(x, key=key)`), in training and in
        evaluation, so that the noise that layers declare is drawn. Without, the model
        is called as `model(x)`.
    - `checkpoint`: a file that is replaced every `checkpoint_every` steps (by default,
        every ten seconds), at the end, on Ctrl-C and on an error. With `resume=True`,
        training goes on from there (or begins, if there is no file), and ends with the
        same bits as if it had never stopped.
    - `steps_per_call`: how many steps a compiled call makes, unless given those of
        about half a second. With hardware in the loop, 1: a failure costs one step.
    - `mesh`: train on several devices, with axes "batch" (they share the examples of
        each batch), "model" (they share large arrays), or both. The numbers are those
        of one device, to rounding, and a checkpoint goes on with any. The data are on
        every device; what is trained stays where it was.
    - `shard`: which arrays are shared and how, in place of `ShardLarge()`.

    On several hosts, one process each calls `jax.distributed.initialize(...)` and then
    `fit` with the same arguments and a mesh of all `jax.devices()`. The first process
    shows progress and writes the checkpoint, in a folder that all of them see:

    ```python
    jax.distributed.initialize("first-host:1234", num_processes=2, process_id=rank)
    mesh = jax.sharding.Mesh(jax.devices(), ("batch",))
    pnn.fit(model, data, objective, optimizer, epochs=10, key=key, mesh=mesh)
    ```

    **Raises:** `NonFiniteError` at the first step whose loss or parameters are not
    finite, naming step and layer; `CheckpointError` if the checkpoint is damaged or
    belongs to another run; `FileExistsError` if there is one and `resume` is false;
    `ValueError` or `TypeError` for what can't work, before anything is computed.
    """
    parts = parts_of(data)
    _check_batches(parts, epochs, batch_size)
    _check_metrics(parts, metrics, evaluate_every)
    _check_saving(checkpoint, checkpoint_every, resume, steps_per_call)
    placement = _placement(mesh, shard, batch_size)
    mask = is_trainable(model)
    task, trained = task_of(
        model, mask, parts, objective, optimizer, key, batch_size, noisy, placement
    )
    test_key = jax.random.fold_in(key, 2) if noisy else None
    plan = Plan(
        steps=epochs * task.steps_per_epoch,
        evaluate=evaluate_every * task.steps_per_epoch if metrics else None,
        save=checkpoint_every,
        steps_per_call=steps_per_call,
    )
    processes = Processes(1 if mesh is None else len(processes_of(mesh)))
    settings = {}
    if checkpoint is not None or processes.number > 1:
        settings = {
            "epochs": epochs,
            "evaluate_every": evaluate_every,
            "metrics": list(metrics),
            "data": digest(parts),
            "key": digest(key),
            **_also_stored(task),
        }
        processes.check_same({**settings, **_also_same(trained, plan, checkpoint)})
    task, state = task.placed(), _begun(task, trained)
    start = Snapshot(state, History.empty(task.loss_dtype, metrics))
    store = None
    if checkpoint is not None:
        store = Store(Path(checkpoint), settings, processes, placement)
        start = store.begin(start, resume)
    test = Test(objective, parts, test_key, metrics, batch_size, placement)
    progress = progress and processes.first
    last = run_session(task, test, plan, start, store, progress, processes)
    return FitResult(task.model(last.state.trained), last.history)


def task_of(
    model: Any,
    mask: PyTree[bool],
    parts: Parts,
    objective: Objective | AbstractLocalObjective,
    optimizer: optax.GradientTransformation | AbstractSearch,
    key: PRNGKeyArray,
    batch_size: int,
    noisy: bool = True,
    placement: Placement | None = None,
) -> tuple[Task, PyTree]:
    """What every step of a training takes, and the parameters before the first.

    `mask` marks the leaves of the model that are trained.
    """
    noise_key = jax.random.fold_in(key, 1) if noisy else None
    trained, fixed = eqx.partition(model, mask)
    if not jax.tree.leaves(trained):
        raise ValueError("The model has no trainable parameter: see `is_trainable`.")
    if not isinstance(optimizer, AbstractSearch):
        optimizer = optax.with_extra_args_support(optimizer)
    batch = parts.train_x[:batch_size], parts.train_y[:batch_size]
    task = Task(
        x=parts.train_x,
        y=parts.train_y,
        fixed=fixed,
        order_key=jax.random.fold_in(key, 0),
        noise_key=noise_key,
        search_key=jax.random.fold_in(key, 3),
        objective=objective,
        optimizer=optimizer,
        batch_size=batch_size,
        loss_dtype=loss_dtype(model, *batch, objective, noise_key),
        placement=placement,
    )
    return task, trained


def _placement(
    mesh: Mesh | None, shard: Shard | None, batch_size: int
) -> Placement | None:
    if mesh is not None:
        return placement_of(mesh, shard, batch_size)
    if shard is not None:
        raise ValueError("`shard` needs devices to share arrays: give them as `mesh`.")
    return None


def _begun(task: Task, trained: PyTree) -> State:
    """Before the first step, with everything on its device."""
    placement, init = task.placement, task.optimizer.init
    if placement is None:
        return strong(State(jnp.int32(0), trained, init(trained)))
    trained = placement.place(trained)
    memory = placement.initial(init, trained)
    return State(placement.replicate(jnp.int32(0)), trained, memory)


def _also_stored(task: Task) -> dict[str, Any]:
    return {
        "batch_size": task.batch_size,
        "noisy": task.noise_key is not None,
        "objective": _name(task.objective),
        "untrained arrays of the model": digest(task.fixed),
    }


def _also_same(trained: PyTree, plan: Plan, checkpoint: Any) -> dict[str, object]:
    """What several processes need alike, though a checkpoint goes on without."""
    return {
        "the model's parameters": digest(trained),
        "`checkpoint`, given or not": checkpoint is not None,
        "`checkpoint_every`": plan.save,
        "`steps_per_call`": plan.steps_per_call,
    }


def _check_batches(parts: Parts, epochs: int, batch_size: int) -> None:
    _check_count("epochs", epochs)
    _check_count("batch_size", batch_size)
    if batch_size > len(parts.train_x):
        raise ValueError(
            f"`batch_size` is {batch_size}, but there are only {len(parts.train_x)} "
            "training examples."
        )


def _check_metrics(
    parts: Parts, metrics: Mapping[str, Callable], evaluate_every: int
) -> None:
    _check_count("evaluate_every", evaluate_every)
    if metrics and len(parts.test_x) == 0:
        raise ValueError(
            "`metrics` are evaluated on a test part, and `(x, y)` has none: give a "
            "`pnnjax.data.Dataset`."
        )


def _check_saving(
    checkpoint: Any,
    checkpoint_every: int | None,
    resume: bool,
    steps_per_call: int | None,
) -> None:
    if steps_per_call is not None:
        _check_count("steps_per_call", steps_per_call)
    if checkpoint_every is not None:
        _check_count("checkpoint_every", checkpoint_every)
    if checkpoint is None and (resume or checkpoint_every is not None):
        raise ValueError(
            "`resume` and `checkpoint_every` need a file: give it as `checkpoint`."
        )


def _check_count(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"`{name}` must be at least 1, but is {value}.")


def _name(objective: Any) -> str:
    return getattr(objective, "__qualname__", type(objective).__qualname__)
