"""spsa-on-rram: what the README says of it."""

import jax
import numpy as np
import pytest

from pnnjax.zoo._spsa_on_rram import SPSAOnRRAM


@pytest.mark.slow
def test_a_short_search_learns_and_is_drawn(tmp_path):
    experiment = SPSAOnRRAM(epochs=1, hidden=8, samples=8, learning_rate=0.5)
    with jax.enable_x64(False):
        run = experiment.run(seed=0, checkpoint=None, resume=False, progress=False)
        fig = run.pictures["physics"]()
    fig.savefig(tmp_path / "physics.png")
    assert run.history.loss[-9:].mean() < 0.9 * run.history.loss[:9].mean()
    assert len(fig.axes) == 2


@pytest.mark.slow
def test_spsa_on_rram_reaches_its_accuracy():
    with jax.enable_x64(False):
        runs = [
            SPSAOnRRAM(updates=updates).run(
                seed=s, checkpoint=None, resume=False, progress=False
            )
            for updates in ("pulses", "ideal")
            for s in range(2)
        ]
    pulses, ideal = np.reshape([run.value for run in runs], (2, 2)).mean(1)
    assert pulses >= 0.93
    assert ideal - pulses < 0.03
