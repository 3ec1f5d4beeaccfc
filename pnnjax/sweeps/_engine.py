"""Where the jobs of a sweep run."""

import abc
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import equinox as eqx

from ._point import Row

Work = Callable[[Any], list[Row]]
"""What a worker makes of a job: rows. It can be pickled, and so can the job. It raises
only what is a fault of the worker: a point that fails is a row with its error."""


class Done(NamedTuple):
    """A job that has ended."""

    name: str
    rows: list[Row] | None
    """`None`: the job was lost, with each worker that tried it."""
    worker: str
    """Which process, on which machine; or how the last one was lost."""


class AbstractEngine(eqx.Module):
    """Runs jobs anywhere. The one process that asks for them does all the writing."""

    @abc.abstractmethod
    def workers(self) -> int:
        """How many jobs run at a time, where that is known; at least 1."""

    @abc.abstractmethod
    def run(self, work: Work, jobs: Mapping[str, Any]) -> Iterator[Done]:
        """Each job, by its name, once it has ended; in any order.

        A job whose worker is lost (killed, out of memory, its machine gone) is run
        again, twice at most. When the caller stops early, or dies, no worker stays
        behind.
        """
