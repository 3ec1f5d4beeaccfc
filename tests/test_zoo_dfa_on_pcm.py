"""dfa-on-pcm: what the README says of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import needs_files

from pnnjax.zoo._dfa_on_pcm import CELL, DFAOnPCM, gathered


def test_changes_are_passed_on_in_whole_steps_and_none_is_lost():
    optimizer = gathered(0.1)
    wanted = jax.random.normal(jax.random.key(0), (50, 8)) * 0.08

    def step(memory, change):
        passed, memory = optimizer.update(change, memory)
        return memory, passed

    rest, passed = jax.lax.scan(step, optimizer.init(wanted[0]), wanted)
    np.testing.assert_allclose(passed / 0.1, jnp.round(passed / 0.1), atol=1e-9)
    np.testing.assert_allclose(passed.sum(0) + rest, wanted.sum(0), atol=1e-12)
    assert jnp.max(jnp.abs(rest)) < 0.1


def test_cells_are_as_coarse_as_the_summary_says():
    """At half of the range, where a step down is none."""
    assert 2 * CELL.granularity == pytest.approx(1 / 32, rel=0.05)


@needs_files
@pytest.mark.slow
def test_dfa_on_pcm_reaches_its_accuracy():
    with jax.enable_x64(False):
        run = DFAOnPCM(epochs=2).run(
            seed=0, checkpoint=None, resume=False, progress=False
        )
    assert run.value >= 0.9
