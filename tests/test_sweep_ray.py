"""Jobs on a Ray cluster: each ends once, whatever becomes of the machines."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

from pnnjax.sweeps import (
    AbstractEngine,
    Grid,
    LocalProcesses,
    Sweep,
    _ray_cluster as module,
    run,
)
from pnnjax.sweeps._ray_cluster import ClusterError, RayCluster
from pnnjax.sweeps._ray_versions import versions_here

CPU = {"Alive": True, "Resources": {"CPU": 2.0}, "NodeID": "a"}


class Lost(Exception):
    """What Ray raises when a worker is gone."""


class Pretended:
    """Ray without machines: each call is answered when it is waited for."""

    exceptions = SimpleNamespace(RayError=Lost)

    def __init__(self, answers, nodes=(CPU,)):
        self.answers = answers
        self.alive = nodes
        self.running = []
        self.most = 0
        self.cancelled = []

    def submit(self, job):
        self.running.append(ref := (job, len(self.running)))
        self.most = max(self.most, len(self.running))
        return ref

    def nodes(self):
        return self.alive

    def wait(self, running, timeout):
        assert timeout == module.PATIENCE
        return (running[:1], running[1:]) if self.answers else ([], running)

    def get(self, ref):
        self.running.remove(ref)
        return self.answers(ref[0])

    def cancel(self, ref, force):
        assert force
        self.cancelled.append(ref[0])


def ended(engine, ray, jobs):
    return list(engine._all(ray, jobs, ray.submit))


def test_a_lost_job_is_run_again_twice_at_most():
    tried = []

    def answer(job):
        tried.append(job)
        if job == "fatal" or (job == "unlucky" and tried.count(job) < 3):
            raise Lost("The machine is gone.\nMore of it.")
        return [{"job": job}], "somewhere"

    jobs = {name: name for name in ("fine", "unlucky", "fatal")}
    done = {d.name: d for d in ended(RayCluster(), Pretended(answer), jobs)}
    assert tried.count("fine") == 1 and tried.count("unlucky") == 3
    assert tried.count("fatal") == 3
    assert done["unlucky"].rows == [{"job": "unlucky"}]
    assert done["fatal"].rows is None
    assert done["fatal"].worker == "Lost: The machine is gone."


def test_few_jobs_are_with_the_cluster_at_a_time():
    jobs = {f"{i}": i for i in range(20)}
    two = {**CPU, "Resources": {"CPU": 3.0, "GPU": 1.0}}
    for engine, most in (
        (RayCluster(workers=3), 3),
        (RayCluster(), 2 * (2 + 3)),
        (RayCluster(cpus=2), 2 * (1 + 1)),
        (RayCluster(gpus=0.5), 2 * 2),
    ):
        ray = Pretended(lambda job: ([], "here"), [CPU, two])
        assert len(ended(engine, ray, jobs)) == 20
        assert ray.most == most and not ray.cancelled


def test_who_stops_early_leaves_nothing_running():
    ray = Pretended(lambda job: ([], "here"))
    jobs = {f"{i}": i for i in range(20)}
    some = RayCluster(workers=4)._all(ray, jobs, ray.submit)
    next(some)
    some.close()
    assert ray.cancelled == [1, 2, 3]


def test_a_cluster_without_machines_is_an_error():
    dead = {**CPU, "Alive": False}
    with pytest.raises(ClusterError, match="gone"):
        ended(RayCluster(workers=1), Pretended(None, [dead]), {"a": 1})
    with pytest.raises(ClusterError, match="No machine .* has 8 CPUs and 1 GPUs"):
        RayCluster(cpus=8, gpus=1)._inspect(Pretended(None), {})


def test_workers_of_another_version_are_refused():
    here = versions_here()
    assert {"Python", "jax", "jaxlib", "pnnjax", "code of pnnjax"} <= here.keys()
    assert "missing" not in here.values()
    with pytest.raises(module._AnotherVersionError, match="jax .*, here 0.0.1"):
        module._attempt(print, None, {}, {**here, "jax": "0.0.1"})

    def answer(job):
        error = Lost()
        error.cause = module._AnotherVersionError("host:1: jax 1, here 2")
        raise error

    with pytest.raises(ClusterError, match="host:1: jax 1, here 2"):
        ended(RayCluster(), Pretended(answer), {"a": 1})


def test_what_can_not_work_is_said_at_once(monkeypatch):
    with pytest.raises(ValueError, match="workers=0"):
        RayCluster(workers=0)
    with pytest.raises(ValueError, match="gpus=-1"):
        RayCluster(gpus=-1)
    assert RayCluster(workers=3).workers() == 3
    assert RayCluster("host:6379").workers() == 1
    begun = time.monotonic()
    with pytest.raises(ClusterError, match="`127.0.0.1:1`.*ray start --head"):
        module._reach("127.0.0.1:1")
    with pytest.raises(ClusterError, match="No Ray cluster"):
        module._reach("ray://127.0.0.1:1")
    assert time.monotonic() - begun < 2 * module.REACH
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"pip install \"pnnjax\[cluster\]\""):
        list(RayCluster().run(print, {"a": 1}))


def test_workers_get_what_decides_numbers(monkeypatch):
    for name in module.PASSED_ON:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PNNJAX_DATA", "/data")
    engine = RayCluster(cpus=1, environment={"MINE": "1"})
    given = engine._options()["runtime_env"]["env_vars"]
    assert given["PNNJAX_DATA"] == "/data" and given["MINE"] == "1"
    assert "multi_thread_eigen=false" in given["XLA_FLAGS"]
    many = RayCluster(cpus=4, environment={"PNNJAX_DATA": "/there"})._options()
    assert "XLA_FLAGS" not in many["runtime_env"]["env_vars"]
    assert many["runtime_env"]["env_vars"]["PNNJAX_DATA"] == "/there"


class Disturbed(AbstractEngine):
    """Another engine, with something done once a second worker has ended a job."""

    engine: AbstractEngine
    disturb: Callable[[], None]

    def workers(self):
        return self.engine.workers()

    def run(self, work, jobs):
        seen = set()
        for done in self.engine.run(work, jobs):
            if len(seen | {done.worker}) == 2 > len(seen):
                self.disturb()
            seen.add(done.worker)
            yield done


@pytest.fixture
def cluster(monkeypatch):
    """A real one, of two machines with a core each, on this one."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80_000_000}
    made = Cluster(
        initialize_head=True, head_node_args={**node, "include_dashboard": False}
    )
    try:
        yield made, made.add_node(**node)
    finally:
        made.shutdown()


# Of Ray: it forks, but to exec; and it leaves the collector to close its own files.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*ray:FutureWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_two_machines_of_which_one_is_killed_find_what_local_processes_find(
    cluster, tmp_path
):
    nodes, second = cluster
    sweep = Sweep(
        Grid(
            "toy_experiment:Rings",
            settings={"epochs": 300, "rate": [0.01, 0.02, 0.05, 0.1], "width": [4, 6]},
            seeds=25,
        )
    )
    assert sweep.count() == 200
    jax.clear_caches()
    local = run(
        sweep, tmp_path / "local", engine=LocalProcesses(2), at_most=4, progress=False
    )
    killed = []

    def kill():
        nodes.remove_node(second, allow_graceful=False)
        killed.append(True)

    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    engine = RayCluster(nodes.address, environment={"PYTHONPATH": path})
    engine = Disturbed(engine, kill)
    there = run(sweep, tmp_path / "ray", engine=engine, at_most=4, progress=False)
    assert killed and there.height == local.height == 200
    assert there["error"].null_count() == 200
    same = [name for name in there.columns if name not in ("seconds", "job", "worker")]
    assert there.select(same).equals(local.select(same))
    assert len(set(there["worker"])) >= 2


ALONE = """
import sys, time
from pnnjax.sweeps import RayCluster

def work(job):
    time.sleep(job)
    return []

for done in RayCluster(workers=1).run(work, {"quick": 0.0, "long": 600.0}):
    print(done.name, flush=True)
"""


@pytest.mark.slow
def test_no_process_outlives_the_one_that_asked(tmp_path):
    script = tmp_path / "alone.py"
    script.write_text(ALONE)
    mark = f"ASKED_BY={tmp_path}"
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    environment |= dict([mark.split("=")])
    asking = subprocess.Popen(
        [sys.executable, str(script)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with asking:
        assert asking.stdout.readline().strip() == "quick"
        assert len(marked(mark)) > 3
        asking.kill()
    # Ray's own helpers look now and then whether what they serve is still there.
    for _ in range(240):
        if not marked(mark):
            return
        time.sleep(0.5)
    pytest.fail(f"These are left: {marked(mark)}")


def marked(mark):
    """The processes that inherited this variable."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if mark in (folder / "environ").read_bytes().decode(errors="replace"):
                    found.append((folder / "cmdline").read_bytes().strip(b"\0"))
            except OSError:
                continue
    return found
