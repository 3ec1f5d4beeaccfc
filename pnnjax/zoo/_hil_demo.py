"""Hardware in the loop that fails, and a training that is killed: nothing is lost."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from .. import plots
from .._checkpoint import Checkpoint, read_checkpoint
from ..devices import LoggedRun
from ._experiment import AbstractStudy, Outcome
from ._hil_processes import CHECKPOINT, REPORT, TOKEN, Job, digits
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUMMARY = "summary.json"
CALM, ROUGH = "calm", "rough"
PATIENCE = 10.0
"""How long a process may take to end when it is told to (s)."""


class Part(NamedTuple):
    """One training, and what its bench saw."""

    made: int
    """Runs that the chip made."""
    log: list[LoggedRun]
    killed: list[float]
    """When, in the time of the log (s)."""
    checkpoint: Checkpoint
    """The last one."""

    @property
    def accuracy(self) -> float:
        """On the test images, by the chip."""
        return float(self.checkpoint.arrays["metric accuracy"][-1])

    def faults(self, kind: str) -> int:
        """How many calls failed in this way."""
        return sum(run.faults.count(kind) for run in self.log)


class HILDemo(AbstractStudy):
    """Digits on two noisy crossbars in another process, reached by the network: once
    calmly; then, on the same chip, with calls that fail in five ways, and with the
    training process killed at random moments and started again. All of the chip's
    noise comes from one source, so that one run more, or one lost, would change every
    number after it.

    Physics-aware training: the chip's outputs, the derivatives of a model that knows
    nothing of its errors. The largest difference between the two trainings is that of
    all their final parameters, the optimizer's memory, the losses and the metrics.
    """

    epochs: int = setting(12, "passes through the training images", low=1)
    batch_size: int = setting(32, "images a run", low=1)
    images: int = setting(1437, "to train with, at most", low=1)
    hidden: int = setting(32, "amplifiers between the crossbars", low=1)
    learning_rate: float = setting(0.01, "of Adam, falling as a cosine", low=0)
    mismatch: float = setting(
        0.05, "hidden errors, in parts of the largest conductance", low=0
    )
    noise: float = setting(0.01, "of each run, in the same unit", low=0)
    fault_rate: float = setting(0.05, "of the calls", low=0, high=0.5)
    kills: int = setting(2, "of the training process", low=0)
    checkpoint_every: int = setting(20, "steps", low=1)

    name: ClassVar[str] = "hil-demo"
    summary: ClassVar[str] = (
        "served crossbars on 8 × 8 digits; calls that fail, a training that is killed"
    )
    reference: ClassVar[str] = (
        "after Wright et al., Nature 601, 549 (2022), doi:10.1038/s41586-021-04223-6"
    )
    figure: ClassVar[str] = "test accuracy of the chip, killed and resumed"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 60.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        began = time.monotonic()
        with _folder(checkpoint) as folder:
            calm = self._part(folder / CALM, seed, 0.0, 0, resume)
            rough = self._part(
                folder / ROUGH, seed, self.fault_rate, self.kills, resume
            )
        difference = largest_difference(calm.checkpoint, rough.checkpoint)
        if progress:
            _tell(calm, rough, difference)
        kinds = sorted({fault for run in rough.log for fault in run.faults})
        parts = (calm, rough)
        return Outcome(
            value=rough.accuracy,
            seconds=time.monotonic() - began,
            model=None,
            history=None,
            table={
                "training": (CALM, ROUGH),
                "asked": tuple(len(part.log) for part in parts),
                "made": tuple(part.made for part in parts),
                "killed": tuple(len(part.killed) for part in parts),
                **{kind: tuple(part.faults(kind) for part in parts) for kind in kinds},
                "accuracy": tuple(part.accuracy for part in parts),
                "largest_difference": (0.0, difference),
            },
            pictures={"physics": lambda: self._picture(rough)},
        )

    def _job(self, seed: int, fault_rate: float) -> Job:
        return Job(
            seed=seed,
            hidden=self.hidden,
            mismatch=self.mismatch,
            noise=self.noise,
            fault_rate=fault_rate,
            images=self.images,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            checkpoint_every=self.checkpoint_every,
        )

    def _part(
        self, folder: Path, seed: int, rate: float, kills: int, resume: bool
    ) -> Part:
        """Train; or recall it, if that was finished. Without its bench, half a training
        is of no use: its noise would begin anew.
        """
        if not (resume and (folder / SUMMARY).exists()):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            job = self._job(seed, rate)
            moments = np.random.default_rng(seed).uniform(0.1, 0.9, kills)
            total = _runs_of(job)
            killed = _trained(folder, job, sorted(int(total * m) for m in moments))
            (folder / SUMMARY).write_text(json.dumps(killed))
        return _stored(folder)

    def _picture(self, part: Part) -> "Figure":
        return plots.device_log(
            part.log, marks={f"killed{' ' * i}": t for i, t in enumerate(part.killed)}
        )


def largest_difference(one: Checkpoint, other: Checkpoint) -> float:
    """Of all numbers in two checkpoints; infinite if they hold other arrays."""
    if one.arrays.keys() != other.arrays.keys():
        return float("inf")
    pairs = [
        (np.asarray(one.arrays[k]), np.asarray(other.arrays[k])) for k in one.arrays
    ]
    if any(a.shape != b.shape for a, b in pairs):
        return float("inf")
    return max(
        float(np.max(np.abs(a.astype(float) - b.astype(float)), initial=0.0))
        for a, b in pairs
    )


def _trained(folder: Path, job: Job, kills: list[int]) -> list[float]:
    """Train to the end, killed after so many runs; when that was (Unix time, s)."""
    random = np.random.default_rng(job.seed)
    token = secrets.token_urlsafe(32)
    killed = []
    with _Bench(folder, job, token) as bench:
        for after in [*kills, None]:
            trainer = _start("train", folder, job, token, bench.address)
            with _ended(trainer):
                while trainer.poll() is None and not bench.reached(after):
                    time.sleep(0.01)
                if trainer.poll() is None:
                    time.sleep(random.uniform(0.0, 0.02))
                    trainer.kill()
                    killed.append(time.time())
                elif trainer.returncode:
                    raise ChildProcessError(
                        f"The training failed: {_last_words(folder)}"
                    )
    return killed


class _Bench:
    """The process that has the chip."""

    def __init__(self, folder: Path, job: Job, token: str):
        self._made = 0
        self._process = _start("bench", folder, job, token)
        assert self._process.stdout is not None
        try:
            self.address = self._process.stdout.readline().decode().strip()
            if not self.address:
                raise ChildProcessError(f"The bench failed: {_last_words(folder)}")
        except BaseException:
            _end(self._process)
            raise
        self._reader = threading.Thread(target=self._count, daemon=True)
        self._reader.start()

    def __enter__(self) -> "_Bench":
        return self

    def __exit__(self, *error: object) -> None:
        _end(self._process)
        self._reader.join()

    def reached(self, runs: int | None) -> bool:
        """Whether the chip has made so many runs."""
        return runs is not None and self._made >= runs

    def _count(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._made = int(line)


def _start(
    role: str, folder: Path, job: Job, token: str, *rest: str
) -> subprocess.Popen:
    """Its standard input ends with this process, whatever ends that; so does it."""
    arguments = [role, str(folder), json.dumps(job._asdict()), *rest]
    with open(folder / "log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "pnnjax.zoo._hil_processes", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if role == "bench" else subprocess.DEVNULL,
            stderr=log,
            env=os.environ | {TOKEN: token},
            # Ctrl-C is for this process, which then ends the others.
            start_new_session=True,
        )


@contextmanager
def _ended(process: subprocess.Popen) -> Iterator[None]:
    try:
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        _end(process)


def _end(process: subprocess.Popen) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(PATIENCE)
    except BaseException:
        process.kill()
        process.wait()


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(exist_ok=True)
        yield given
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def _runs_of(job: Job) -> int:
    """Of a whole training: its steps, and the test images after each epoch."""
    loaded = digits(job)
    steps = len(loaded.train_x) // job.batch_size
    size = min(job.batch_size, len(loaded.test_x))
    return job.epochs * (steps - (-len(loaded.test_x) // size))


def _stored(folder: Path) -> Part:
    report = json.loads((folder / REPORT).read_text())
    calls = report["calls"]
    start = calls[0][1]
    runs: dict[str, list] = {}
    for call in calls:
        runs.setdefault(call[0], []).append(call)
    log = [
        LoggedRun(
            number=number,
            began=group[0][1] - start,
            seconds=group[-1][1] + group[-1][2] - group[0][1],
            faults=tuple(fault for *_, fault in group if fault),
            good=not group[-1][3],
        )
        for number, group in enumerate(runs.values(), 1)
    ]
    killed = [t - start for t in json.loads((folder / SUMMARY).read_text())]
    return Part(report["made"], log, killed, read_checkpoint(folder / CHECKPOINT))


def _last_words(folder: Path) -> str:
    lines = (folder / "log").read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _tell(calm: Part, rough: Part, difference: float) -> None:
    from rich.console import Console

    failed = sum(len(run.faults) for run in rough.log)
    Console(stderr=True, highlight=False).print(
        f"{len(rough.log)} runs were asked for, and the chip made {rough.made} "
        f"({calm.made} calmly); {failed} calls failed; killed {len(rough.killed)} "
        f"times. The largest difference of any final number is {difference:g}.",
        soft_wrap=True,
    )
