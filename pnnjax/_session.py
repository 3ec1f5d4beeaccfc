"""One training run from where it is to its end: calls, evaluations, checkpoints."""

import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ._checkpoint import (
    Checkpoint,
    check_fingerprint,
    describe,
    named_leaves,
    on_host,
    read_checkpoint,
    restore,
    write_checkpoint,
)
from ._diagnose import NonFiniteError, diagnose
from ._history import History
from ._objective import AbstractLocalObjective, Objective
from ._parts import Parts
from ._processes import Processes
from ._progress import progress_report
from ._search import AbstractSearch
from ._sharding import Placement
from ._step import LOSSES, State, Task, advance, predict
from .devices import raising_device_errors

SECONDS_PER_CALL = 0.5
"""About how long a compiled call may take, so that Ctrl-C is heard."""

SECONDS_PER_CHECKPOINT = 10.0
"""How long to wait with the next one, where the user does not say."""


class Snapshot(NamedTuple):
    """A run between two calls. Replaced whole, so that an interrupt finds one whole."""

    state: State
    history: History

    @property
    def step(self) -> int:
        return len(self.history.loss)


class Plan(NamedTuple):
    """When to stop for what, in steps."""

    steps: int
    evaluate: int | None
    save: int | None
    """`None`: as time goes by."""
    steps_per_call: int | None

    def boundary(self, step: int) -> int:
        """Where the next call must end at the latest."""
        periods = [n for n in (self.save, self.evaluate) if n is not None]
        stops = [(step // period + 1) * period for period in periods]
        return min([self.steps, *stops])

    def evaluates(self, last: Snapshot) -> bool:
        """Whether an evaluation is due now."""
        if self.evaluate is None or last.step == 0:
            return False
        due = last.step % self.evaluate == 0 or last.step == self.steps
        return due and last.step not in last.history.steps[-1:]

    def saves(self, last: Snapshot, seconds: float) -> bool:
        """Whether a checkpoint is due, `seconds` after the one before.

        After the evaluation, if there is one, so that it need not be made again.
        """
        if self.evaluates(last):
            return False
        if last.step == self.steps:
            return True
        if self.save is None:
            return seconds >= SECONDS_PER_CHECKPOINT
        return last.step % self.save == 0


class Test(NamedTuple):
    """What is evaluated, and on which examples."""

    objective: Objective | AbstractLocalObjective
    parts: Parts
    key: PRNGKeyArray | None
    metrics: Mapping[str, Callable[[Any, Any], Any]]
    batch_size: int
    placement: Placement | None

    def evaluate(self, model: Any, step: int) -> dict[str, float]:
        """Every metric, with new noise at each step."""
        key = None if self.key is None else jax.random.fold_in(self.key, step)
        x, y = self.parts.test_x, self.parts.test_y
        model = eqx.nn.inference_mode(model)
        if self.placement is None:
            out = predict(self.objective, model, x, key, self.batch_size)
        else:
            x, key = self.placement.replicate((x, key))
            out = predict(
                self.objective, model, x, key, self.batch_size, self.placement
            )
            # Metrics may be any code: they see arrays like the targets.
            out = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), out)
        return {name: float(metric(out, y)) for name, metric in self.metrics.items()}


class Store(NamedTuple):
    """The checkpoint of a run."""

    path: Path
    settings: Mapping[str, Any]
    processes: Processes
    placement: Placement | None

    def begin(self, start: Snapshot, resume: bool) -> Snapshot:
        """Where to go on from: `start`, unless there is a checkpoint."""
        exists = self.path.exists()
        self.processes.check_same({f"`{self.path}`, which all must see": exists})
        if not exists:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return start
        if not resume:
            raise FileExistsError(
                f"`{self.path}` holds a checkpoint: give `resume=True` to go on from "
                "it, or another path, or delete it."
            )
        stored = read_checkpoint(self.path)
        check_fingerprint(self.path, stored.fingerprint, self._fingerprint(start))
        state = restore(start.state, stored.arrays)
        evaluated = {
            name: stored.arrays[f"metric {name}"] for name in start.history.metrics
        }
        history = History(
            loss=stored.arrays["loss"],
            steps=stored.arrays["steps"],
            metrics=evaluated,
            seconds=stored.notes["seconds"],
        )
        return Snapshot(self._put(state), history)

    def save(self, last: Snapshot) -> None:
        leaves, history = named_leaves(last.state), last.history
        arrays = {
            **{name: on_host(leaf) for name, leaf in leaves.items()},
            "loss": history.loss,
            "steps": history.steps,
            **{f"metric {name}": value for name, value in history.metrics.items()},
        }
        notes = {
            "step": last.step,
            "seconds": history.seconds,
            "pnnjax": version("pnnjax"),
            "jax": jax.__version__,
        }
        checkpoint = Checkpoint(arrays, self._fingerprint(last), notes)
        self.processes.by_first(lambda: write_checkpoint(self.path, checkpoint))

    def _put(self, state: State) -> State:
        if self.placement is None:
            return strong(state)
        step = self.placement.replicate(state.step)
        trained = self.placement.place(state.trained)
        memory = self.placement.place(state.memory, beside=trained)
        return State(step, trained, memory)

    def _fingerprint(self, snapshot: Snapshot) -> dict[str, Any]:
        leaves = named_leaves(snapshot.state)
        state = {name: describe(leaf) for name, leaf in leaves.items()}
        return {**self.settings, "state": state}


def run_session(
    task: Task,
    test: Test,
    plan: Plan,
    last: Snapshot,
    store: Store | None,
    progress: bool,
    processes: Processes,
) -> Snapshot:
    """Train to the end; whatever stops it, what was finished is saved.

    Of several processes, all are stopped by Ctrl-C in one of them, and save; where one
    alone fails, the others can't help it to.
    """
    saved, together = time.monotonic(), processes.number == 1
    try:
        with (
            raising_device_errors(),
            processes.holding_interrupts() as interrupted,
            progress_report(plan.steps, last.step, progress) as report,
        ):
            for last in _snapshots(task, test, plan, last, processes):
                report(last.history)
                due = plan.saves(last, time.monotonic() - saved)
                if store and processes.agreed(due):
                    store.save(last)
                    saved = time.monotonic()
                if processes.any(interrupted()):
                    together = True
                    raise KeyboardInterrupt
    except (KeyboardInterrupt, Exception) as error:
        if store is not None and (together or isinstance(error, NonFiniteError)):
            store.save(last)
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(_interrupted(last, plan, store)) from None
        raise
    return last


def strong(state: State) -> State:
    """With the types that a step returns: on the device, and no type weak."""

    def on_device(leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return leaf
        return jnp.asarray(leaf, leaf.dtype)

    return jax.tree.map(on_device, state)


def _snapshots(
    task: Task, test: Test, plan: Plan, last: Snapshot, processes: Processes
) -> Iterator[Snapshot]:
    """The run after each call and each evaluation."""
    begun = time.perf_counter() - last.history.seconds
    chunk = 0  # The first call makes no step: it compiles.
    while True:
        if plan.evaluates(last):
            metrics = test.evaluate(task.model(last.state.trained), last.step)
            history = last.history.with_metrics(metrics, time.perf_counter() - begun)
            last = last._replace(history=history)
            yield last
        if last.step == plan.steps:
            return
        called = time.perf_counter()
        stop = min(last.step + chunk, plan.boundary(last.step))
        until = jnp.asarray(stop, jnp.int32)
        if task.placement is not None:
            until = task.placement.replicate(until)
        new, losses, finite = jax.block_until_ready(advance(task, last.state, until))
        now = time.perf_counter()
        made = int(new.step) - last.step
        losses = np.asarray(losses)
        history = last.history.with_losses(losses[:made], now - begun)
        last = Snapshot(new, history)
        if made:
            yield last
        if not finite:
            raise _failure(task, last, float(losses[made]))
        chunk = plan.steps_per_call or processes.agreed(_next_chunk(made, now - called))


def _next_chunk(made: int, seconds: float) -> int:
    """As many steps as fit the time of a call, growing at most fourfold."""
    if made == 0:
        return 1
    fitting = int(SECONDS_PER_CALL * made / max(seconds, 1e-6))
    return max(1, min(fitting, 4 * made, LOSSES))


def _failure(task: Task, last: Snapshot, loss: float) -> NonFiniteError:
    step, model = last.state.step, task.model(last.state.trained)
    rows, keys = task.rows(task.order(step), step), task.keys(step)
    gradient = not isinstance(task.optimizer, AbstractSearch)
    where = diagnose(model, task.x[rows], task.y[rows], keys, task.objective, gradient)
    return NonFiniteError(
        f"Step {last.step + 1} is not finite (loss {loss:.4g}): {where}. The "
        "parameters are kept as they were before it.",
        step=last.step + 1,
        model=model,
        history=last.history,
    )


def _interrupted(last: Snapshot, plan: Plan, store: Store | None) -> str:
    done = f"Stopped after step {last.step} of {plan.steps}"
    if store is None:
        return f"{done}; nothing is saved, since no `checkpoint` was given."
    return f"{done}. `{store.path}` holds it: go on with `resume=True`."
