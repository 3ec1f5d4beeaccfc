"""Every comparison with a peer that is installed here, in one table.

    PNNJAX_DATA=folder python benchmarks/peers/all.py --rows rows.json

| File | What | Peers | Their environment, beside `pip install .` |
|---|---|---|---|
| `mesh.py` | interferometer meshes | neurophox, simphox | in the file: their own |
| `diffraction.py` | stacks of phase masks | torchoptics | torchoptics==1.0.2 torch |
| `waves.py` | the wave equation | wavetorch, plain PyTorch | in the file |
| `crossbar.py` | training by pulses | aihwkit | aihwkit==1.1.0 torch==2.10.0 |
| `weight_noise.py` | training with noise | aihwkit | the same |
| `pcm.py` | phase-change memory | aihwkit | the same |
| `pulsed_devices.py` | pulsed memory cells | aihwkit | the same |
| `reservoir.py` | echo state networks | reservoirpy | reservoirpy==0.4.2 |
| `ising.py` | cuts of graphs | dwave-samplers, simulated-bifurcation | in the file |
| `gibbs.py` | Gibbs sampling | thrml | thrml==0.1.4 |
| `evolution.py` | population methods | evosax | comes with pnnjax |

torchoptics, wavetorch, reservoirpy, dwave-samplers, simulated-bifurcation, thrml and
torch go into one environment of Python 3.11 or 3.12, aihwkit into one of Python 3.11.
Not compared: chromatix, of which PyPI has an empty 0.0.1, and simphox's in-situ
gradient, which no release on PyPI has.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from side_by_side import Row, begin, finish

NEEDED = {
    "diffraction.py": ("torchoptics",),
    "waves.py": ("torch",),
    "crossbar.py": ("aihwkit",),
    "weight_noise.py": ("aihwkit",),
    "pcm.py": ("aihwkit",),
    "pulsed_devices.py": ("aihwkit",),
    "reservoir.py": ("reservoirpy",),
    "ising.py": ("dwave", "simulated_bifurcation"),
    "gibbs.py": ("thrml",),
    "evolution.py": ("evosax",),
}
"""Modules of which one is enough to compare something."""


def commands(options: argparse.Namespace) -> dict[str, list[str]]:
    """The arguments of each comparison that can be made here."""
    elsewhere = {
        f"--{name}": getattr(options, name)
        for name in ("neurophox", "simphox")
        if getattr(options, name) is not None
    }
    chosen = {}
    if elsewhere:
        chosen["mesh.py"] = [part for pair in elsewhere.items() for part in pair]
    for file, modules in NEEDED.items():
        if any(importlib.util.find_spec(module) for module in modules):
            chosen[file] = []
    shared = ["--rounds", str(options.rounds), *["--quick"][: options.quick]]
    return {file: [*own, *shared] for file, own in chosen.items()}


def rows_of(file: str, arguments: list[str]) -> tuple[list[Row], dict[str, str]]:
    """Run one comparison in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        program = Path(__file__).parent / file
        command = [sys.executable, str(program), *arguments, "--rows", str(path)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL)
        if done.returncode:
            print(f"{file} ended with {done.returncode}", file=sys.stderr)
            return [], {}
        found = json.loads(path.read_text())
    return [Row(**row) for row in found["rows"]], found["versions"]


def main():
    def add(parser):
        for name in ("neurophox", "simphox"):
            parser.add_argument(f"--{name}", help="the Python of its environment")

    options = begin(__doc__, add)
    rows, versions, chosen = [], {}, commands(options)
    for file, arguments in chosen.items():
        found, own = rows_of(file, arguments)
        rows += found
        versions |= own
    for file in ["mesh.py", *NEEDED]:
        if file not in chosen:
            print(f"{file}: its peers are not installed here", file=sys.stderr)
    finish(rows, options, versions)


if __name__ == "__main__":
    main()
