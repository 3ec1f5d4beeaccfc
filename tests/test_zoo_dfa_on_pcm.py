"""dfa-on-pcm: what the README says of it."""

import jax
import pytest
from helpers import needs_files

from pnnjax.zoo._dfa_on_pcm import CELL, DFAOnPCM


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
