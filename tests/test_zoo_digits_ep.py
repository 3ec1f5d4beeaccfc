"""digits-ep: a small network that learns, and its picture."""

import jax
import numpy as np
import pytest

from pnnjax import zoo
from pnnjax.zoo._digits_ep import DigitsEP


def test_the_network_joins_pixels_to_classes():
    study = DigitsEP(hidden=7)
    first, last = study.model(key=jax.random.key(0)).layer.couplings
    assert first.weight.shape == (64, 7) and last.weight.shape == (7, 10)
    # An output at zero would not answer to a nudge.
    np.testing.assert_allclose(last.bias, 0.1)
    digits = study.data()
    assert digits.train_x.shape == (1437, 64) and digits.test_x.shape == (360, 64)
    assert digits.train_x.min() == 0 and digits.train_x.max() == 1


@pytest.mark.slow
def test_digits_ep_reaches_its_accuracy():
    with jax.enable_x64(False):
        runs = [zoo.run(DigitsEP(), seed=s, progress=False) for s in range(3)]
    assert np.mean([run.value for run in runs]) >= 0.96
    assert len(runs[0].pictures["physics"]().axes) == 2
