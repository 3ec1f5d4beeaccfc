"""A small leaderboard that nobody has measured, with all that is awkward in one."""

import functools
import tempfile
from pathlib import Path

import polars

from pnnjax import sweeps

NASTY = '<b>&"quoted"</b>'


def board():
    """Three layers by two estimators; one is missing, one has failed."""
    pairs = [
        ("springs", "waves", "autodiff", 1.0, 0.0, 0, 0.9, ""),
        ("springs", "waves", "ep", 0.99, 0.02, 3, None, ""),
        ("mesh", "optics", "autodiff", 1.0, 1e-16, 0, 0.8, ""),
        ("mesh", "optics", NASTY, -0.25, 1.5, 40, 0.3, ""),
        ("mesh-odd", "optics", NASTY, 0.5, 0.9, 4, 0.6, ""),
        ("mesh-odd", "optics", "ep", None, None, 3, None, "ValueError: a < b & c"),
    ]
    rows = [
        {
            "layer": layer,
            "domain": domain,
            "estimator": estimator,
            "cosine": cosine,
            "relative_error": error,
            "runs": runs,
            "relaxations": 0,
            "seconds": 1e-4 * (i + 1),
            "bytes": 1000 * 4**i,
            "accuracy": accuracy,
            "physical_runs": 100 * runs,
            "error": said,
        }
        for i, (layer, domain, estimator, cosine, error, runs, accuracy, said) in (
            enumerate(pairs)
        )
    ]
    return polars.DataFrame(rows, infer_schema_length=None)


def robustness():
    """Two levels of two disturbances for three of the pairs."""
    rows = [
        {
            "layer": layer,
            "estimator": estimator,
            "what": what,
            "level": level,
            "cosine": cosine * (1 - level),
        }
        for layer, estimator, cosine in (
            ("springs", "autodiff", 1.0),
            ("springs", "ep", 0.99),
            ("mesh", "autodiff", 0.9),
        )
        for what in ("noise", "mismatch")
        for level in (0.01, 0.1)
    ]
    return polars.DataFrame(rows)


@functools.cache
def page():
    """The text of their page: it is made once, since its pictures take seconds."""
    with tempfile.TemporaryDirectory() as folder:
        made = {"command": "pnnjax bench > <here>"}
        path = Path(folder) / "board.html"
        assert sweeps.leaderboard_page(path, board(), robustness(), made) == path
        return path.read_text()
