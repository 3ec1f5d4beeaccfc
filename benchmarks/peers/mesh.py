"""A mesh of interferometers, batch 128, complex64: us beside neurophox and simphox.

    python -m venv neurophox && neurophox/bin/pip install "tensorflow-cpu==2.12.*" \
        torch==2.13.0 "numpy<1.24" "scipy<1.12" \
        && neurophox/bin/pip install --no-deps neurophox==0.1.0a4
    python -m venv simphox && simphox/bin/pip install simphox==0.0.1a8 jax==0.4.20 \
        jaxlib==0.4.20 "numpy<2" "scipy<1.13" "pydantic<2" absl-py "matplotlib<3.9"
    python benchmarks/peers/mesh.py --neurophox neurophox/bin/python \
        --simphox simphox/bin/python

Python 3.11 for the first and 3.10 for the second, since neither library runs with a
present JAX or TensorFlow: each has a process of its own, which takes its turns. The
rectangular mesh sends 128 inputs through; the loss is the mean squared difference of
the powers from random targets, its gradient that to all phases. neurophox runs as a
TensorFlow graph (its fastest way), simphox under `jit`.
"""

import argparse

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from elsewhere import Elsewhere
from jitted import Jitted
from mesh_signal import signals
from side_by_side import Row, begin, contest, finish, versions

import pnnjax as pnn

PEERS = ("neurophox", "simphox")


def ours(modes: int) -> dict[str, Jitted]:
    mesh = pnn.optics.MZIMesh(modes, key=jax.random.key(0))
    x, target = map(jnp.asarray, signals(modes))
    y = np.asarray(mesh(x))
    lost = np.abs(np.linalg.norm(y, axis=-1) - np.linalg.norm(x, axis=-1)).max()
    assert lost < 1e-3, f"{modes} modes lose power: {lost}"
    arrays, static = eqx.partition(mesh, eqx.is_array)

    def forward(arrays):
        return eqx.combine(arrays, static)(x)

    def loss(arrays):
        y = forward(arrays)
        return jnp.mean((y.real**2 + y.imag**2 - target) ** 2)

    return {
        "forward": Jitted(forward, arrays),
        "forward and gradient": Jitted(jax.grad(loss), arrays),
    }


def rows(options: argparse.Namespace, modes: int, found: dict[str, str]) -> list[Row]:
    peers = {}
    for name in PEERS:
        python = getattr(options, name)
        if python is not None:
            peers[name] = Elsewhere(python, f"mesh_{name}.py", str(modes))
            found |= peers[name].versions
    result = []
    for case, run in ours(modes).items():
        cases = {"pnnjax": run}
        cases |= {name: peer.cases[case] for name, peer in peers.items()}
        made = contest(f"mesh of {modes} modes, {case}", cases, options.rounds)
        result += [row._replace(note=peers[row.peer].notes[case]) for row in made]
    for peer in peers.values():
        peer.close()
    return result


def main():
    def add(parser):
        for name in PEERS:
            parser.add_argument(f"--{name}", help="the Python of its environment")

        parser.add_argument("--modes", type=int, nargs="*", help="64 128 without it")

    options = begin(__doc__, add)
    found = versions("pnnjax", "jax")
    sizes = options.modes or ((16,) if options.quick else (64, 128))
    finish([row for n in sizes for row in rows(options, n, found)], options, found)


if __name__ == "__main__":
    main()
