"""Three circuits with diodes, against ngspice and against equations written by hand."""

import re
import shutil
import subprocess
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import root

from pnnjax.circuits import ExponentialDiode, ResistorNetwork

SATURATION, IDEALITY = 1e-14, 1.2
SLOPE = IDEALITY * 1.380649e-23 * 300.15 / 1.602176634e-19


class Circuit(NamedTuple):
    """Node 0 is the ground, and the sources hold the nodes after it."""

    nodes: int
    resistors: dict
    diodes: list
    sources: list


CIRCUITS = {
    "clamp": Circuit(
        3, {(1, 2): 1e3, (2, 0): 1e5}, [(2, 0), (0, 2)], [[5.0], [-12.0], [0.4]]
    ),
    "bridge": Circuit(
        5,
        {(1, 2): 10.0, (3, 4): 220.0, (3, 0): 1e6, (4, 0): 1e6},
        [(2, 3), (0, 3), (4, 2), (4, 0)],
        [[9.0], [-9.0], [1.0]],
    ),
    "hidden": Circuit(
        8,
        {
            (1, 4): 1e3,
            (2, 4): 3.3e3,
            (3, 4): 4.7e3,
            (1, 5): 2.2e3,
            (2, 5): 1e3,
            (3, 5): 6.8e3,
            (4, 6): 5.6e3,
            (5, 6): 1.5e3,
            (4, 7): 2.7e3,
            (5, 7): 8.2e3,
            (6, 0): 1e4,
            (7, 0): 1e4,
        },
        [(4, 0), (0, 5), (6, 7)],
        [[3.0, -2.0, 1.0], [-4.0, 5.0, 0.5], [10.0, 10.0, -10.0]],
    ),
}


def ours(circuit):
    held = len(circuit.sources[0])
    net = ResistorNetwork(
        circuit.nodes,
        list(circuit.resistors),
        1 / jnp.asarray(list(circuit.resistors.values())),
        inputs=range(1, held + 1),
        fixed={0: 0.0},
        outputs=range(held + 1, circuit.nodes),
        diodes=[
            ExponentialDiode(a, c, SATURATION, IDEALITY) for a, c in circuit.diodes
        ],
    )
    return np.asarray(eqx.filter_jit(net)(jnp.asarray(circuit.sources)))


def by_hand(circuit, sources):
    """Newton's method of SciPy on the currents that leave the free nodes."""
    held = len(sources)
    v = np.zeros(circuit.nodes)
    v[1 : held + 1] = sources

    def leaving(free):
        v[held + 1 :] = free
        total = np.zeros(circuit.nodes)
        branches = [
            (a, b, (v[a] - v[b]) / r) for (a, b), r in circuit.resistors.items()
        ]
        for a, c in circuit.diodes:
            drop = min((v[a] - v[c]) / SLOPE, 60)
            branches.append((a, c, SATURATION * np.expm1(drop)))
        for a, b, i in branches:
            total[a] += i
            total[b] -= i
        return 1e3 * total[held + 1 :]

    return leaving


@pytest.mark.parametrize("name", CIRCUITS)
def test_voltages_solve_the_equations_written_by_hand(name):
    circuit = CIRCUITS[name]
    for sources, voltages in zip(circuit.sources, ours(circuit), strict=True):
        leaving = by_hand(circuit, sources)
        # mV around the answer: SciPy's solver does not come from cold.
        start = voltages + 2e-3 * np.sin(np.arange(len(voltages)))
        found = root(leaving, start, method="hybr", options={"xtol": 1e-14})
        assert np.abs(leaving(found.x)).max() < 1e-10
        np.testing.assert_allclose(voltages, found.x, rtol=1e-7, atol=1e-9)


def netlist(circuit, sources):
    lines = ["* diodes"]
    for k, volts in enumerate(sources):
        lines.append(f"V{k} {k + 1} 0 DC {volts!r}")
    for k, ((a, b), ohm) in enumerate(circuit.resistors.items()):
        lines.append(f"R{k} {a} {b} {ohm!r}")
    for k, (a, c) in enumerate(circuit.diodes):
        lines.append(f"D{k} {a} {c} junction")
    free = range(len(sources) + 1, circuit.nodes)
    return "\n".join(
        [
            *lines,
            f".model junction D(IS={SATURATION} N={IDEALITY})",
            ".options temp=27 tnom=27 gmin=1e-18 reltol=1e-9 abstol=1e-18 vntol=1e-12",
            ".control",
            "set numdgt=12",
            "op",
            *(f"print v({node})" for node in free),
            ".endc",
            ".end",
            "",
        ]
    )


@pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed")
@pytest.mark.parametrize("name", CIRCUITS)
def test_voltages_are_those_of_spice(name, tmp_path):
    circuit = CIRCUITS[name]
    for sources, voltages in zip(circuit.sources, ours(circuit), strict=True):
        file = tmp_path / "circuit.cir"
        file.write_text(netlist(circuit, sources))
        out = subprocess.run(
            ["ngspice", "-b", str(file)], capture_output=True, text=True, timeout=60
        )
        printed = re.findall(r"^v\((\d+)\) = (\S+)", out.stdout, re.MULTILINE)
        expected = [float(value) for _, value in printed]
        assert len(expected) == len(voltages), out.stdout + out.stderr
        # Of k/q, SPICE has the value of 2014: 3e-7 less.
        close = 1e-6 * np.abs([*sources, *expected]).max()
        np.testing.assert_allclose(voltages, expected, rtol=0, atol=close)
