"""How far trainings in one program are from those alone, as JSON.

`python together_and_alone.py EXPERIMENT SETTINGS`, with several values of each setting.
"""

import json
import sys

import jax
import numpy as np

import pnnjax as pnn
from pnnjax.sweeps import Grid, Job, Sweep, _perform
from pnnjax.sweeps._planning import plan

DOUBLE = {np.dtype("float32"): np.float64, np.dtype("complex64"): np.complex128}
FEW = {"train": 2048, "test": 256}


def shortened(load):
    """The first examples of a data set; in double precision where JAX is."""

    def made():
        data = load()
        named = {
            f"{part}_{name}": getattr(data, f"{part}_{name}")[:count]
            for part, count in FEW.items()
            for name in "xy"
        }
        if jax.config.jax_enable_x64:
            named = {
                n: v.astype(DOUBLE.get(v.dtype, v.dtype)) for n, v in named.items()
            }
        return data._replace(**named)

    return made


def rows(job):
    return _perform.perform(job, "code")


def difference(some, others, steps=None):
    """Of the losses, and of the figures."""
    gaps = [
        np.abs(np.subtract(one[name][:steps], other[name][:steps])).max()
        for one, other in zip(some, others, strict=True)
        for name in one
        if name == "loss" or (name.startswith("metric.") and steps is None)
    ]
    return float(max(gaps))


def compared(points, exact):
    """Of the second point and the last, vmapped and, if `exact`, taking turns."""
    (job,) = plan(points).jobs
    chosen = [1, len(points) - 1]
    alone = [rows(Job((points[i],), (), 1))[0] for i in chosen]
    every = rows(job)
    together = [every[i] for i in chosen]
    found = {
        "traced": sorted(job.traced),
        "errors": [row["error"] for row in (*alone, *every) if row["error"]],
        "vmapped": difference(together, alone),
        "vmapped, first": difference(together, alone, 1),
    }
    if exact:
        turns = rows(job._replace(exact=True))
        found["exact"] = difference([turns[i] for i in chosen], alone)
    return found


def main():
    experiment, settings = sys.argv[1], json.loads(sys.argv[2])
    pnn.data.digits = shortened(pnn.data.digits)
    pnn.data.mnist = shortened(pnn.data.mnist)
    quick = {"epochs": 1, "batch_size": 256}
    points = Sweep(Grid(experiment, settings=settings | quick, seeds=[0, 3])).points()
    single = compared(points, True)
    _perform._kept.clear()
    with jax.enable_x64(True):
        print(json.dumps({"single": single, "double": compared(points, False)}))


if __name__ == "__main__":
    main()
