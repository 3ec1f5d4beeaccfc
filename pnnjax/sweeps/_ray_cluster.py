"""Jobs on the machines of a Ray cluster."""

import logging
import math
import os
import socket
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ._code_version import compute_like, numerics
from ._engine import AbstractEngine, Done, Work
from ._local_processes import ONE_THREAD, worker_name
from ._point import Row
from ._ray_versions import inspector, versions_here

RETRIES = 2
"""How often a job is run again after its worker was lost."""

PATIENCE = 60.0
"""How long to wait for a machine to come back, when all are gone (s)."""

REACH = 5.0
"""How long a cluster may take to answer at all (s)."""

INSPECTION = 120.0
"""How long the machines may take to say what they run (s)."""

PASSED_ON = ("PNNJAX_DATA", "PYTHONPATH", "XLA_FLAGS", "JAX_PLATFORMS")

STORE = 200_000_000
"""Of the shared memory of a cluster of our own (bytes): rows are small."""


class ClusterError(RuntimeError):
    """A Ray cluster that can't be reached, or can't run these jobs."""


class RayCluster(AbstractEngine):
    """The machines of a Ray cluster. Rows come back through Ray: no disk is shared.

    Each machine must have the same Python, JAX and pnnjax; that is checked before any
    work starts, and again in each worker. `PNNJAX_DATA` is passed on, as are
    `PYTHONPATH`, `XLA_FLAGS` and `JAX_PLATFORMS`: where the data lie elsewhere, say so
    in `environment`. An experiment given as `module:Class` must be on each machine.
    """

    address: str | None
    cpus: float
    gpus: float
    environment: Mapping[str, str]
    _workers: int | None

    def __init__(
        self,
        address: str | None = None,
        *,
        workers: int | None = None,
        cpus: float = 1.0,
        gpus: float = 0.0,
        environment: Mapping[str, str] = {},
    ):
        """`address`: `"host:6379"` from a machine of the cluster, `"ray://host:10001"`
        from any other, `"auto"` for the one on this machine; without, this machine
        becomes a cluster for as long as jobs run. A process that is connected to Ray
        already stays so, and uses that.

        **Arguments:** `workers`: jobs at a time, at most; by default as many as the
        cluster has room for. `cpus`, `gpus`: of a job. `environment`: variables of the
        workers.
        """
        if workers is not None and workers < 1:
            raise ValueError(f"`workers={workers}` must be at least 1.")
        if cpus <= 0 or gpus < 0:
            raise ValueError(
                f"A job has `cpus={cpus}` and `gpus={gpus}`: give more than 0 and at "
                "least 0, such as 1.0 and 0.0."
            )
        self.address = address
        self.cpus = cpus
        self.gpus = gpus
        self.environment = dict(environment)
        self._workers = workers

    def workers(self) -> int:
        if self._workers is not None:
            return self._workers
        return max(1, int(_cores() / self.cpus)) if self.address is None else 1

    def run(self, work: Work, jobs: Mapping[str, Any]) -> Iterator[Done]:
        ray = _ray()
        with _connected(ray, self.address, self._cpus_here()):
            wanted, flags = versions_here(), numerics()
            self._inspect(ray, wanted)
            attempt = ray.remote(_attempt).options(max_retries=0, **self._options())
            yield from self._all(
                ray, jobs, lambda job: attempt.remote(work, job, flags, wanted)
            )

    def _all(
        self, ray: Any, jobs: Mapping[str, Any], submit: Callable[[Any], Any]
    ) -> Iterator[Done]:
        waiting, tries = [*jobs][::-1], dict.fromkeys(jobs, 0)
        running: dict[Any, str] = {}
        try:
            while waiting or running:
                room = self._at_once(ray) - len(running)
                for _ in range(min(room, len(waiting))):
                    name = waiting.pop()
                    running[submit(jobs[name])] = name
                for ended in self._ended(ray, [*running]):
                    name = running.pop(ended)
                    try:
                        rows, worker = ray.get(ended)
                    except ray.exceptions.RayError as error:
                        _refuse(error)
                        tries[name] += 1
                        if tries[name] <= RETRIES:
                            waiting.append(name)
                            continue
                        rows, worker = None, _how(error)
                    yield Done(name, rows, worker)
        finally:
            for left in running:
                ray.cancel(left, force=True)

    def _ended(self, ray: Any, running: list[Any]) -> list[Any]:
        ended, _ = ray.wait(running, timeout=PATIENCE)
        if not ended and not self._able(ray):
            raise ClusterError(
                "Every machine of the cluster that could run a job is gone. What has "
                "ended is kept: run the same again."
            )
        return ended

    def _at_once(self, ray: Any) -> int:
        """How many jobs are with Ray: with a second one each, no worker waits."""
        if self._workers is not None:
            return self._workers
        return max(2, 2 * sum(self._slots(node) for node in self._able(ray)))

    def _slots(self, node: Mapping[str, Any]) -> int:
        has = node["Resources"]
        slots = has.get("CPU", 0) / self.cpus
        return int(min(slots, has.get("GPU", 0) / self.gpus) if self.gpus else slots)

    def _able(self, ray: Any) -> list[Mapping[str, Any]]:
        return [node for node in ray.nodes() if node["Alive"] and self._slots(node)]

    def _inspect(self, ray: Any, wanted: Mapping[str, str]) -> None:
        nodes = self._able(ray)
        if not nodes:
            raise ClusterError(
                f"No machine of the cluster has {self.cpus:g} CPUs"
                + (f" and {self.gpus:g} GPUs" if self.gpus else "")
                + ", which is what a job asks for."
            )
        there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        ask, options = ray.remote(inspector()), self._options(0.0)
        places = [there(node["NodeID"], soft=False) for node in nodes]
        answers = [
            ask.options(scheduling_strategy=place, **options).remote()
            for place in places
        ]
        try:
            found = ray.get(answers, timeout=INSPECTION)
        except ray.exceptions.RayError as error:
            raise ClusterError(
                f"The machines of the cluster could not be inspected: {_how(error)}."
            ) from error
        lines = [
            line
            for node, versions in zip(nodes, found, strict=True)
            for line in _differences(node["NodeManagerAddress"], versions, wanted)
        ]
        if lines:
            listed = "\n  ".join(["Machines differ, and so would numbers:", *lines])
            raise ClusterError(f"{listed}\nInstall the same on each of them.")

    def _options(self, cpus: float | None = None) -> dict[str, Any]:
        passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        if self.cpus <= 1:
            passed["XLA_FLAGS"] = f"{passed.get('XLA_FLAGS', '')} {ONE_THREAD}".strip()
        passed["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        return {
            "num_cpus": self.cpus if cpus is None else cpus,
            "num_gpus": self.gpus if cpus is None else 0,
            "runtime_env": {"env_vars": {**passed, **self.environment}},
        }

    def _cpus_here(self) -> int:
        return max(_cores(), math.ceil((self._workers or 1) * self.cpus))


class _AnotherVersionError(RuntimeError):
    """A worker that runs other code than the process that asked."""


def _attempt(
    work: Work, job: Any, flags: Mapping[str, Any], wanted: Mapping[str, str]
) -> tuple[list[Row], str]:
    # A machine that joined later was not there to be inspected.
    here = versions_here()
    for line in _differences(worker_name(), here, wanted):
        raise _AnotherVersionError(line)
    compute_like(flags)
    return work(job), worker_name()


@contextmanager
def _connected(ray: Any, address: str | None, cpus: int) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    try:
        if address is None:
            _begin(ray, cpus)
        else:
            _reach(address)
            _init(ray, address=address)
        yield
    finally:
        ray.shutdown()


def _begin(ray: Any, cpus: int) -> None:
    """This machine becomes a cluster, which tells nobody of itself."""
    usage = os.environ.get("RAY_USAGE_STATS_ENABLED")
    os.environ["RAY_USAGE_STATS_ENABLED"] = usage or "0"
    try:
        _init(
            ray,
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            object_store_memory=STORE,
        )
    finally:
        if usage is None:
            del os.environ["RAY_USAGE_STATS_ENABLED"]


def _init(ray: Any, **options: Any) -> None:
    with warnings.catch_warnings():
        # The fork is followed by an exec, which JAX's threads don't matter to.
        warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
        except (Exception, SystemExit) as error:  # It raises bare exceptions, too.
            where = options["address"]
            raise ClusterError(f"Ray does not start at `{where}`: {error}") from error


def _reach(address: str) -> None:
    """**Raises:** `ClusterError` if nothing listens there: Ray would take minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH).close()
    except OSError as error:
        raise ClusterError(
            f"No Ray cluster can be reached at `{address}`: {error}. Start one with "
            "`ray start --head` there and `ray start --address HOST:6379` on each "
            "further machine, or leave the address out."
        ) from error


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise ClusterError(
            'Ray is not installed: `pip install "pnnjax[cluster]"`, on each machine.'
        ) from error
    return ray


def _refuse(error: Exception) -> None:
    cause = getattr(error, "cause", None)
    if isinstance(cause, _AnotherVersionError):
        raise ClusterError(
            f"A worker differs from this process, and so would numbers: {cause}."
        ) from error


def _how(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    text = str(cause).strip()
    return f"{type(cause).__name__}: {text.splitlines()[0] if text else 'no message'}"


def _differences(
    where: str, there: Mapping[str, str], here: Mapping[str, str]
) -> list[str]:
    return [
        f"{where}: {name} {there.get(name, 'missing')}, here {wanted}"
        for name, wanted in here.items()
        if there.get(name) != wanted
    ]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if os.name == "posix" else os.cpu_count() or 1
