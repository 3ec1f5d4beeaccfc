"""Which points a sweep has, and what it may not ask for."""

import numpy as np
import pytest
from toy_experiment import Rings
from toy_sweep import Dice

from pnnjax import zoo
from pnnjax.sweeps import Grid, GridError, RuleError, Sweep, read_sweep
from pnnjax.zoo import _registry

DICE = "toy_sweep:Dice"
RINGS = "toy_experiment:Rings"


def test_a_grid_has_every_combination_in_order():
    grid = Grid(DICE, settings={"sides": [4, "8"], "weight": np.array([0.5])}, seeds=2)
    assert grid.count() == 4
    found = [(p.settings, p.seed) for p in grid.points()]
    assert found == [
        ({"sides": 4, "weight": 0.5}, 0),
        ({"sides": 4, "weight": 0.5}, 1),
        ({"sides": 8, "weight": 0.5}, 0),
        ({"sides": 8, "weight": 0.5}, 1),
    ]
    assert all(type(p.settings["sides"]) is int for p in grid.points())


def test_a_point_that_is_asked_for_twice_is_there_once():
    # Also where a setting is said that is as it is by default, or a rule with spaces.
    one = Grid(DICE, settings={"sides": [6, 4, "4"]}, seeds=[2, 0, 2])
    other = Grid(Dice, seeds=range(3))
    points = Sweep(one, other).points()
    assert [(p.settings, p.seed) for p in points] == [
        ({}, 2), ({}, 0), ({"sides": 4}, 2), ({"sides": 4}, 0), ({}, 1),
    ]  # fmt: skip
    rules = [None, "own", "SPSA(samples=8)", " SPSA( samples = 8 )"]
    grid = Grid(RINGS, estimators=rules)
    assert [p.estimator for p in grid.points()] == [None, "SPSA(samples=8)"]


def test_values_are_read_as_the_experiment_has_them():
    points = Sweep(Grid([RINGS, Rings], settings={"rate": 1, "clip": None})).points()
    assert [repr(p.settings) for p in points] == ["{'rate': 1.0}"]


def test_a_preset_sets_what_is_not_set():
    grid = Grid(RINGS, settings={"epochs": [5], "preset": "wide"})
    (point,) = grid.points()
    assert point.configured() == Rings(width=32, epochs=5)


def test_a_registered_experiment_of_a_user_is_found_by_any_process(monkeypatch):
    monkeypatch.setattr(_registry, "_MODULES", dict(_registry._MODULES))
    zoo.register("toy-dice", "toy_sweep:Dice")
    assert Grid("toy-dice").experiments == Grid(Dice).experiments == (DICE,)
    mesh = zoo.find("digits-mesh")
    assert Grid(["digits-mesh", mesh]).experiments == ("digits-mesh",)


def test_a_sweep_is_described_whole():
    sweep = Sweep(
        Grid(DICE, settings={"felt": [None, "red"], "weight": 0.25}, seeds=range(1, 9)),
        Grid(RINGS, estimators=["Autodiff()"], seeds=[3]),
    )
    assert Sweep.of(sweep.described()).points() == sweep.points()


def test_a_million_points_are_counted_without_being_made():
    rates = (np.arange(1000) / 1e3).tolist()
    grid = Grid(RINGS, settings={"rate": rates}, seeds=10**9)
    assert grid.count() == 10**12
    assert grid.seconds() == 5e12
    assert Grid(RINGS, settings={"epochs": [10, "30"]}).seconds() == 10.0


@pytest.mark.parametrize(
    "make, error, said",
    [
        (lambda: Grid("digits-mash"), LookupError, "Did you mean `digits-mesh`"),
        (lambda: Grid(DICE, settings={"side": 6}), zoo.SettingError, "mean `sides`"),
        (lambda: Grid(DICE, settings={"sides": [6, 0]}), zoo.SettingError, "least 1"),
        (lambda: Grid(DICE, settings={"sides": []}), GridError, "`sides` has no value"),
        (lambda: Grid([]), GridError, "`experiment` has no value"),
        (lambda: Grid(DICE, estimators=[]), GridError, "`estimators` has no value"),
        (lambda: Grid(DICE, seeds=0), GridError, "empty: `seeds` has no value"),
        (lambda: Grid(DICE, seeds=[True]), GridError, "can't have True"),
        (lambda: Grid(DICE, seeds=[-1]), GridError, "at least 0. One number alone"),
        (lambda: Grid(DICE, seeds=range(-2, 2)), GridError, "can't have -2"),
        (lambda: Grid(DICE, estimators=["SPSA()"]), GridError, "no training run"),
        (lambda: Grid(RINGS, estimators=["SPSB()"]), RuleError, "Did you mean `SPSA`"),
        (lambda: Sweep(), GridError, "sweep is empty"),
    ],
)
def test_a_mistake_says_what_would_work(make, error, said):
    with pytest.raises(error) as raised:
        make()
    assert said in str(raised.value)


def test_a_file_says_the_same(tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(
        """
at_most = 5
exact = true
[[grid]]
experiment = ["toy_experiment:Rings"]
seeds = 2
estimators = ["own", "Autodiff()"]
[grid.settings]
rate = [0.05, 0.1]
bias = true
[[grid]]
experiment = "toy_sweep:Dice"
seeds = [3]
"""
    )
    sweep, at_most, exact = read_sweep(file)
    settings = {"rate": [0.05, 0.1], "bias": True}
    same = Sweep(
        Grid(RINGS, settings=settings, estimators=[None, "Autodiff()"], seeds=2),
        Grid(DICE, seeds=[3]),
    )
    assert (
        at_most == 5
        and exact
        and sweep.points() == same.points()
        and sweep.count() == 9
    )


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "`s.toml` is empty"),
        ("grid = 1 =", "is no TOML"),
        ("[grid]\nexperiment = 'a'", "`[[grid]]`"),
        ("[[grid]]\nseeds = 1", "`s.toml`, grid 1 has no `experiment`"),
        ("[[grids]]\nseeds = 1", "no use for `grids`. Did you mean `grid`?"),
        ("[[grid]]\nexperiment = 'a'\nseed = 1", "Did you mean `seeds`?"),
        ("[[grid]]\nexperiment = 3", "`experiment` must be a name"),
        ("[[grid]]\nexperiment = 'a'\nseeds = 'b'", "`seeds` must be a number"),
        ("[[grid]]\nexperiment = 'a'\nsettings = 3", "`settings` must be a table"),
        ("at_most = 0\n[[grid]]\nexperiment = 'toy_sweep:Dice'", "`at_most` must be 1"),
        ("exact = 1\n[[grid]]\nexperiment = 'toy_sweep:Dice'", "`exact` must be true"),
        ("[[grid]]\nexperiment = 'toy_sweep:Dice'\nseeds = []", "`seeds` has no value"),
    ],
)
def test_a_mistake_in_a_file_is_named(text, said, tmp_path):
    file = tmp_path / "s.toml"
    file.write_text(text)
    with pytest.raises(GridError) as raised:
        read_sweep(file)
    assert said in str(raised.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(GridError, match="There is no file"):
        read_sweep(tmp_path / "none.toml")
