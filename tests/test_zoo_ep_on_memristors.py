"""ep-on-memristors: what the README says of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import needs_files

from pnnjax.zoo._ep_on_memristors import EPOnMemristors


def test_couplings_take_pulses_and_biases_any_update():
    experiment = EPOnMemristors(hidden=3, device="constant-step", learning_rate=1.0)
    optimizer = experiment.optimizer(10)
    model = experiment.model(key=jax.random.key(0))
    trained = eqx.filter(model, eqx.is_inexact_array).layer.couplings
    gradient = jax.tree.map(lambda p: jnp.full_like(p, -0.02), trained)
    gradient = eqx.tree_at(
        lambda g: g[0].weight, gradient, replace_fn=lambda w: w.at[:400].set(0.0)
    )

    @jax.jit
    def change(gradient):
        return optimizer.update(gradient, optimizer.init(trained), trained)[0]

    with jax.numpy_dtype_promotion("standard"):  # as `fit` runs `optax`
        first = change(gradient)[0]
    np.testing.assert_allclose(first.bias, 0.02)
    np.testing.assert_array_equal(first.weight[:400], 0)
    # Twenty pulses of a thousandth of the range: cells differ by a third.
    moved = first.weight[400:]
    assert jnp.mean(moved) == pytest.approx(0.02, rel=0.05)
    assert jnp.std(moved) / 0.02 == pytest.approx(0.3, abs=0.06)


@needs_files
@pytest.mark.slow
def test_ep_on_memristors_reaches_its_accuracy():
    with jax.enable_x64(False):
        runs = [
            EPOnMemristors(updates=updates, epochs=3).run(
                seed=0, checkpoint=None, resume=False, progress=False
            )
            for updates in ("pulses", "ideal")
        ]
    pulses, ideal = (run.value for run in runs)
    assert pulses >= 0.965
    assert ideal - pulses < 0.01
