"""Experiments that take no time, for the tests of sweeps."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from pnnjax.zoo import AbstractStudy, Outcome, setting


class Dice(AbstractStudy):
    """A throw of dice, which may fail, and may kill its process."""

    name = "toy-dice"
    summary = "The mean of three dice"
    reference = "None."
    figure = "mean"
    published = None
    duration = 0.1

    sides: int = setting(6, "of each", low=1)
    weight: float = setting(0.0, "of the heavy side", low=0.0, high=1.0)
    seconds: float = setting(0.0, "that a throw takes", low=0.0)
    felt: str | None = setting("green", "what they are thrown on")
    kills: int = setting(0, "how many of its processes it takes down")
    folder: str = setting(".", "where these are counted")

    def run(self, *, seed, checkpoint, resume, progress):
        time.sleep(self.seconds)
        if self.sides == 13:
            raise ValueError("thirteen sides")
        for i in range(self.kills):
            mark = Path(self.folder) / f"{seed}-{i}"
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        thrown = np.random.default_rng(seed).integers(1, self.sides + 1, 3)
        value = (1 - self.weight) * thrown.mean() + self.weight * self.sides
        return Outcome(float(value), 0.0, None, None, {}, {})


def squares(job):
    """Work that is no sweep's."""
    if job == 3:
        return [{"value": None, "error": "three"}]
    return [{"value": float(job) ** 2, "error": None}]
