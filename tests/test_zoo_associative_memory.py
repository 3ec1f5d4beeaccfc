"""The experiment on associative memories."""

import json

import numpy as np
import pytest

from pnnjax import zoo
from pnnjax.zoo._associative_memory import (
    CAVITY,
    HEBB,
    PROJECTION,
    AssociativeMemoryStudy,
    half_lost,
)

TINY = {
    "neurons": 200,
    "highest": 0.4,
    "levels": 3,
    "probes": 8,
    "memories": 2,
    "ensembles": 40,
}


@pytest.mark.slow
def test_it_writes_the_critical_load_and_its_pictures(tmp_path):
    experiment = zoo.configure(AssociativeMemoryStudy, TINY)
    outcome = zoo.run(experiment, out=tmp_path / "run", progress=False)
    assert 0.1 < outcome.value < 0.4
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {
        "physics.png",
        "recall.png",
        "basins.png",
        "metrics.csv",
        "result.json",
    } <= names
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["published"] == 0.138 and result["figure"] == "critical load"
    assert len(outcome.table["load"]) == 2 * 2 * 3


def test_half_lost_is_where_half_of_the_patterns_go():
    loads = np.array([0.1, 0.2, 0.3])
    held, lost = 0.9, 0.3
    overlaps = np.array([[held] * 4, [held, held, held, lost], [lost] * 4])
    assert half_lost(loads, overlaps) == pytest.approx(0.2 + 0.1 / 3)
    assert half_lost(loads, np.full((3, 4), held)) == 0.3
    assert half_lost(loads, np.full((3, 4), lost)) == 0.1


@pytest.mark.slow
def test_capacity_is_the_published_one_for_so_many_spins():
    experiment = AssociativeMemoryStudy()
    outcome = zoo.run(experiment, progress=False)
    # Finite memories hold a little more than infinite ones: 0.138.
    assert 0.138 < outcome.value < 0.17


@pytest.mark.slow
def test_the_cavity_and_the_projection_hold_what_hebb_mixes_up():
    import jax

    right = {HEBB: 0, PROJECTION: 0, CAVITY: 0}
    for seed in range(4):
        found = AssociativeMemoryStudy().digits(jax.random.key(seed))
        for name in right:
            right[name] += int(np.all(found[name] == found["stored"], axis=1).sum())
    assert right[HEBB] <= 4 < 30 < min(right[PROJECTION], right[CAVITY])
