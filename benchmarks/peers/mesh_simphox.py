"""simphox in an environment of its own: `mesh.py` starts it."""

import importlib.metadata
import sys

import jax
import jax.numpy as jnp
import numpy as np
from elsewhere import serve
from jax.example_libraries import optimizers
from mesh_signal import signals
from side_by_side import Here

# Where simphox looks for what JAX has moved since.
sys.modules["jax.experimental.optimizers"] = optimizers
jax.experimental.optimizers = optimizers

from simphox.circuit import rectangular  # noqa: E402


def main(modes):
    jax.config.update("jax_enable_x64", False)
    x, target = map(jnp.asarray, signals(modes))
    random = np.random.RandomState(1)
    gauss = random.standard_normal((2, modes, modes))
    mesh = rectangular(np.linalg.qr(gauss[0] + 1j * gauss[1])[0])
    run = mesh.matrix_fn(inputs=x.T, use_jax=True)
    params = tuple(jnp.asarray(part, jnp.float32) for part in mesh.params)

    def loss(params):
        y = run(params).T
        return jnp.mean((y.real**2 + y.imag**2 - target) ** 2)

    y, bars = run(params).T, jax.grad(loss)(params)
    lost = np.abs(np.linalg.norm(y, axis=-1) - np.linalg.norm(x, axis=-1)).max()
    assert lost < 1e-3 and all(np.any(bar != 0) for bar in bars), lost
    assert y.dtype == jnp.complex64, y.dtype
    # It unrolls the columns, and is so long to compile that it is compiled once only.
    forward, gradient = jax.jit(run), jax.jit(jax.grad(loss))
    names = "simphox", "jax", "numpy"
    serve(
        {
            "forward": Here(lambda: jax.block_until_ready(forward(params)), False),
            "forward and gradient": Here(
                lambda: jax.block_until_ready(gradient(params)), False
            ),
        },
        {
            name if name == "simphox" else f"its {name}": importlib.metadata.version(
                name
            )
            for name in names
        },
        dict.fromkeys(("forward", "forward and gradient"), "`jit`"),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
