"""Jobs in processes of this machine."""

import os
import pickle
import platform
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import entry_points
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from ._code_version import compute_like, numerics
from ._engine import AbstractEngine, Done, Work
from ._point import Row

TRIES = 2
"""How many workers a job may take down with it."""

NO_WORKER = (
    "No worker could be started: {} A script must run its sweep under "
    '`if __name__ == "__main__":`, or give `LocalProcesses(0)`.'
)

ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


class WorkerError(RuntimeError):
    """A worker that ended before it was given a job."""


class LocalProcesses(AbstractEngine):
    """Processes of this machine, each with one thread of XLA."""

    _workers: int

    def __init__(self, workers: int | None = None):
        """By default one for each core, or one on a machine with an accelerator.

        `workers=0` runs the jobs in this process, one after the other, and lets what
        they raise through: for debugging.
        """
        if workers is not None and workers < 0:
            raise ValueError(f"`workers={workers}` is negative: give 0 or more.")
        self._workers = _default() if workers is None else workers

    def workers(self) -> int:
        return max(1, self._workers)

    def run(self, work: Work, jobs: Mapping[str, Any]) -> Iterator[Done]:
        if self._workers == 0:
            return _here(work, jobs)
        pickle.dumps(work)  # An error here is clearer than one in a worker.
        return _elsewhere(work, jobs, min(self._workers, len(jobs)))


def worker_name() -> str:
    """Of this process."""
    return f"{platform.node()}:{os.getpid()}"


def prepare_worker(flags: Mapping[str, Any]) -> None:
    """Compute as the process that has these `numerics()`, in one thread."""
    xla = f"{os.environ.get('XLA_FLAGS', '')} {ONE_THREAD}"
    os.environ["XLA_FLAGS"] = xla.strip()
    # A worker shares its accelerator with the process that asked for the sweep.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    compute_like(flags)


def _here(work: Work, jobs: Mapping[str, Any]) -> Iterator[Done]:
    for name, job in jobs.items():
        yield Done(name, work(job), worker_name())


def _elsewhere(work: Work, jobs: Mapping[str, Any], count: int) -> Iterator[Done]:
    # Each worker is a pool of its own: when one breaks, which job it had is known, and
    # no other is lost with it. The pipe is their lifeline: it closes when this process
    # ends, however it does, and they end with it.
    context = get_context("spawn")
    reader, writer = context.Pipe(duplex=False)

    def pool() -> tuple[ProcessPoolExecutor, Future]:
        made = ProcessPoolExecutor(1, context, _begin, (reader, numerics()))
        return made, made.submit(worker_name)

    waiting, tries = [*jobs][::-1], dict.fromkeys(jobs, 0)
    # Which job each worker has; none while it starts.
    busy: dict[Future, tuple[ProcessPoolExecutor, str | None]] = {}
    try:
        for _ in range(count):
            made, starting = pool()
            busy[starting] = made, None
        while busy:
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                used, name = busy.pop(future)
                error = future.exception()
                if error is not None:
                    used.shutdown(wait=False)
                    if name is None:
                        raise WorkerError(NO_WORKER.format(error)) from error
                    tries[name] += 1
                    if tries[name] < TRIES:
                        waiting.append(name)
                    if waiting:
                        made, starting = pool()
                        busy[starting] = made, None
                elif waiting:
                    new = waiting.pop()
                    busy[used.submit(_call, work, jobs[new])] = used, new
                else:
                    used.shutdown(wait=False)
                if name is None:
                    continue
                if error is None:
                    yield Done(name, *future.result())
                elif tries[name] == TRIES:
                    yield Done(name, None, _how(error))
    finally:
        writer.close()
        for left, _ in busy.values():
            left.shutdown(wait=True, cancel_futures=True)
        reader.close()


def _begin(lifeline: Connection, flags: Mapping[str, Any]) -> None:
    import signal

    # Ctrl-C reaches every process of a terminal: the one that asked ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with, args=(lifeline,), daemon=True).start()
    prepare_worker(flags)


def _die_with(lifeline: Connection) -> None:
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        pass
    os._exit(1)


def _call(work: Work, job: Any) -> tuple[list[Row], str]:
    return work(job), worker_name()


def _how(error: BaseException) -> str:
    if isinstance(error, BrokenProcessPool):
        return f"killed, or out of memory, {TRIES} times"
    return f"{type(error).__name__}: {error}"


def _default() -> int:
    # JAX itself can't be asked: it would take the accelerator's memory.
    plugins = len(entry_points(group="jax_plugins")) > 0
    if plugins and os.environ.get("JAX_PLATFORMS") != "cpu":
        return 1
    linux = sys.platform == "linux"
    return len(os.sched_getaffinity(0)) if linux else os.cpu_count() or 1
