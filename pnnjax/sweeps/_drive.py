"""From jobs to a table: what every sweep does, whatever its jobs are."""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ._durable import FullDiskError, bytes_in_words
from ._engine import AbstractEngine, Done, Work
from ._point import Job, Row
from ._store import ROWS, Store
from ._sweep_progress import stderr, sweep_report

if TYPE_CHECKING:
    from polars import DataFrame

Lost = Callable[[Any, str], list[Row]]
"""The rows of a job that was lost, and how."""


def drive(
    store: Store,
    engine: AbstractEngine,
    work: Work,
    jobs: Mapping[str, Any],
    *,
    title: str,
    progress: bool,
    lost: Lost | None = None,
    before: int = 0,
) -> "DataFrame":
    """Run those of `jobs` that `store` has not, and keep each as it ends.

    A job that was lost the last time is run again.

    **Arguments:** `jobs`: by names that say all that decides their rows. `title`: for
    the progress on standard error. `lost`: makes the rows of a job that was lost with
    each worker that tried it; by default one row, with nothing but its error.
    `before`: how many points besides those of `jobs` are there already, for `progress`.
    **Returns:** all rows of the store.
    **Raises:** `FolderError` if another process is writing there; `FullDiskError`.
    Whatever stops it, what has ended is kept, and the same call goes on from there.
    """
    with store.writing() as damaged:
        store.forget(store.lost() & jobs.keys())
        finished = store.finished()
        waiting = {name: job for name, job in jobs.items() if name not in finished}
        _say_damaged(damaged, progress)
        if waiting:
            store.expect(waiting)
            _run(store, engine, work, jobs, waiting, title, progress, lost, before)
    return store.table()


def _run(
    store: Store,
    engine: AbstractEngine,
    work: Work,
    jobs: Mapping[str, Any],
    waiting: Mapping[str, Any],
    title: str,
    progress: bool,
    lost: Lost | None,
    before: int,
) -> None:
    sizes = {name: _size(job) for name, job in jobs.items()}
    points = before + sum(sizes.values())
    done = points - sum(sizes[name] for name in waiting)
    failed = 0
    left = set(waiting)
    try:
        with (
            sweep_report(title, points, done, progress) as report,
            closing(_ended(engine, work, waiting)) as ended,
        ):
            for one in ended:
                rows = _rows(one, waiting[one.name], lost)
                store.add(one.name, rows, one.worker, lost=one.rows is None)
                left.remove(one.name)
                done += sizes[one.name]
                failed += sum(1 for row in rows if row.get("error"))
                report(done, failed)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Stopped after {done} of {points} points, all of which are kept in "
            f"`{store.folder}`."
        ) from None
    except FullDiskError as error:
        raise FullDiskError(error.errno, _room(store, error, len(left))) from error


def _ended(
    engine: AbstractEngine, work: Work, jobs: Mapping[str, Any]
) -> Generator[Done, None, None]:
    # Closing it closes what the engine returned, and so ends its workers.
    yield from engine.run(work, jobs)


def _rows(done: Done, job: Any, lost: Lost | None) -> list[Row]:
    if done.rows is not None:
        return done.rows
    why = f"the process was lost: {done.worker}"
    return [{"error": why}] if lost is None else lost(job, why)


def _size(job: Any) -> int:
    return len(job.points) if isinstance(job, Job) else 1


def _say_damaged(damaged: list[str], progress: bool) -> None:
    if damaged and progress:
        listed = "".join(f"\n  {name}" for name in damaged)
        stderr().print(
            f"These files were damaged, and are made anew:{listed}", soft_wrap=True
        )


def _room(store: Store, error: FullDiskError, left: int) -> str:
    sizes = [path.stat().st_size for path in (store.folder / ROWS).glob("*.parquet")]
    need = left * sum(sizes) / len(sizes) if sizes else 0
    estimate = f", about {bytes_in_words(need)} in all" if need else ""
    return (
        f"{error.strerror} {left} jobs are left{estimate}. Make room, and run it again."
    )
