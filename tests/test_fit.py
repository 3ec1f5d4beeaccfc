"""The training loop, against closed forms and against itself."""

import csv
import signal
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array

from pnnjax import AbstractBoundedLayer, Facts, Frozen, Physical, fit
from pnnjax._checkpoint import CheckpointError
from pnnjax._diagnose import NonFiniteError
from pnnjax.devices import CallbackDevice, DeviceError
from pnnjax.estimators import Autodiff, PhysicsAware


class Parts(NamedTuple):
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def squared(y, targets):
    return jnp.mean((y - targets) ** 2)


def bits(tree):
    return [
        (np.asarray(leaf).dtype, np.asarray(leaf).tobytes())
        for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    ]


@pytest.fixture
def regression():
    """`y = A x`, exactly."""
    rng = np.random.default_rng(0)
    x, matrix = rng.normal(size=(40, 3)), rng.normal(size=(2, 3))
    y = x @ matrix.T
    return Parts(x[:32], y[:32], x[32:], y[32:]), matrix


@pytest.fixture
def network(getkey):
    """With noise that needs its key, and momentum in the optimizer."""
    return eqx.nn.Sequential(
        [
            eqx.nn.Linear(3, 8, key=getkey()),
            eqx.nn.Lambda(jnp.tanh),
            eqx.nn.Dropout(0.2),
            eqx.nn.Linear(8, 2, key=getkey()),
        ]
    )


def test_full_batch_descent_follows_its_closed_form(regression, getkey):
    """W_k - A = (W_0 - A)(1 - rate H)^k, with H = 2 X^T X / (2 n)."""
    data, matrix = regression
    x = data.train_x
    model = eqx.nn.Linear(3, 2, use_bias=False, key=getkey())
    step = np.eye(3) - 0.1 * x.T @ x / len(x)
    out = fit(
        model, (x, data.train_y), squared, optax.sgd(0.1),
        epochs=25, batch_size=32, key=getkey(), progress=False,
    )  # fmt: skip
    error = (model.weight - matrix) @ np.linalg.matrix_power(step, 25)
    np.testing.assert_allclose(out.model.weight, matrix + error, rtol=1e-12)
    assert out.history.loss.shape == (25,)
    first = np.mean((x @ np.asarray(model.weight).T - data.train_y) ** 2)
    np.testing.assert_allclose(out.history.loss[0], first, rtol=1e-12)


def test_an_epoch_takes_each_example_once_in_a_new_order(getkey):
    class Bias(eqx.Module):
        value: Array

        def __call__(self, x, *, key=None):
            return x + self.value

    values = 2.0 ** np.arange(12)  # A sum of them tells which they are.
    out = fit(
        Bias(jnp.zeros(())), (values, np.zeros(12)), lambda y, t: jnp.mean(y - t),
        optax.sgd(0.0), epochs=3, batch_size=5, key=getkey(), progress=False,
    )  # fmt: skip
    batches = np.rint(out.history.loss * 5).astype(int).reshape(3, 2)
    for epoch in batches:
        assert int(epoch[0]) & int(epoch[1]) == 0
        assert sum(int(n).bit_count() for n in epoch) == 10
    assert len({tuple(epoch) for epoch in batches.tolist()}) == 3


def test_neither_the_cuts_nor_the_number_of_steps_change_the_program(
    network, regression, getkey
):
    data, key, adam, traces = regression[0], getkey(), optax.adam(1e-2), 0

    def objective(y, targets):
        nonlocal traces
        traces += 1
        return squared(y, targets)

    def train(steps_per_call, epochs=6):
        return fit(
            network, data, objective, adam, epochs=epochs, batch_size=8,
            key=key, steps_per_call=steps_per_call, progress=False,
        )  # fmt: skip

    whole = train(None)
    assert traces <= 3
    for steps in (1, 5, 1000):
        cut = train(steps)
        assert bits(cut.model) == bits(whole.model)
        assert bits(cut.history.loss) == bits(whole.history.loss)
    traces = 0
    train(None, epochs=200)
    assert traces == 1, "the shapes are checked, and nothing is compiled"


class Stop(Exception):
    pass


def stopping_metric(at, stop):
    calls = 0

    def metric(y, targets):
        nonlocal calls
        calls += 1
        if calls == at:
            stop()
        return squared(y, targets)

    return metric


def raise_stop():
    raise Stop


def interrupt():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    "stop, error", [(raise_stop, Stop), (interrupt, KeyboardInterrupt)]
)
def test_a_resumed_run_has_the_bits_of_one_that_never_stopped(
    network, regression, getkey, tmp_path, stop, error
):
    data, key, file = regression[0], getkey(), tmp_path / "new" / "run"
    adam = optax.adam(optax.linear_schedule(0.1, 0.0, 40))

    def train(metric, **saving):
        return fit(
            network, data, squared, adam, epochs=10, batch_size=7, key=key,
            metrics={"error": metric},
            evaluate_every=2, progress=False, **saving,
        )  # fmt: skip

    whole = train(squared)
    with pytest.raises(error) as caught:
        train(stopping_metric(3, stop), checkpoint=file)
    if error is KeyboardInterrupt:
        assert "step 24 of 40" in str(caught.value)
        assert "resume=True" in str(caught.value)
    out = train(squared, checkpoint=file, resume=True)
    assert bits(out.model) == bits(whole.model)
    assert bits(out.history.loss) == bits(whole.history.loss)
    assert out.history.steps.tolist() == [8, 16, 24, 32, 40]
    assert bits(out.history.metrics) == bits(whole.history.metrics)
    again = train(stopping_metric(1, raise_stop), checkpoint=file, resume=True)
    assert bits(again.model) == bits(whole.model)
    assert again.history.seconds == out.history.seconds
    assert [f.name for f in file.parent.iterdir()] == ["run"]


def test_an_existing_checkpoint_is_never_overwritten_unasked(
    network, regression, getkey, tmp_path
):
    def train(**changes):
        settings = {"epochs": 2, "batch_size": 8, "key": jax.random.key(0)} | changes
        data = settings.pop("data", regression[0])
        model = settings.pop("model", network)
        optimizer = settings.pop("optimizer", optax.adam(1e-2))
        return fit(
            model, data, squared, optimizer, checkpoint=tmp_path / "run",
            progress=False, **settings,
        )  # fmt: skip

    train()
    before = (tmp_path / "run").read_bytes()
    with pytest.raises(FileExistsError, match="resume=True"):
        train()
    other = regression[0]._replace(train_x=regression[0].train_x + 1)
    wider = eqx.nn.MLP(3, 2, 4, 1, key=getkey())
    for change, said in [
        ({"epochs": 3}, "epochs: 2 in the checkpoint, 3 now"),
        ({"batch_size": 4}, "batch_size: 8 in the checkpoint, 4 now"),
        ({"key": jax.random.key(1)}, "key: not the same"),
        ({"data": other}, "data: not the same"),
        ({"model": wider}, r"weight: float64\[2,8\] in the checkpoint, absent"),
        ({"optimizer": optax.sgd(0.1)}, "memory.*absent now"),
        ({"noisy": False, "model": eqx.nn.inference_mode(network)}, "noisy: True"),
    ]:
        with pytest.raises(CheckpointError, match=said):
            train(resume=True, **change)
    assert (tmp_path / "run").read_bytes() == before


class Chip(AbstractBoundedLayer):
    """Transmissions between 0 and 1, and a part that is not trained."""

    facts = Facts(linear=True)
    transmission: Array
    hidden: Frozen

    def __call__(self, x, *, key=None):
        whole = jnp.broadcast_arrays(x, self.transmission, self.hidden.value)
        return whole[0] * whole[1] + whole[2]

    def project(self):
        return eqx.tree_at(
            lambda c: c.transmission, self, jnp.clip(self.transmission, 0.0, 1.0)
        )


def test_parameters_stay_in_bounds_and_decay_touches_only_what_is_trained(getkey):
    inner = Chip(jnp.full(2, 0.5), Frozen(jnp.ones(2)))
    frozen = Frozen(Chip(jnp.full(2, 1.5), Frozen(jnp.ones(2))))
    model = eqx.nn.Sequential([Physical(inner, Autodiff()), frozen])
    x = np.ones((4, 2))
    targets = np.array([[9.0, 0.0]] * 4)
    out = fit(
        model, (x, targets), squared, optax.adamw(0.3, weight_decay=0.1),
        epochs=20, batch_size=4, key=getkey(), progress=False,
    )  # fmt: skip
    trained = out.model[0].layer
    np.testing.assert_array_equal(trained.transmission, [1.0, 0.0])
    np.testing.assert_array_equal(trained.hidden.value, 1.0)
    np.testing.assert_array_equal(out.model[1].value.transmission, 1.5)


def test_complex_parameters_go_downhill(getkey):
    class Shift(eqx.Module):
        by: Array

        def __call__(self, x, *, key=None):
            return x + self.by

    def power(y, targets):
        return jnp.mean((y - targets).real ** 2 + (y - targets).imag ** 2)

    zeros = np.zeros((4, 1), complex)
    out = fit(
        Shift(jnp.zeros(1, complex)), (zeros, zeros + 1 - 2j), power, optax.sgd(0.25),
        epochs=40, batch_size=4, key=getkey(), progress=False,
    )  # fmt: skip
    # Each step halves the distance: d|b - c|^2 / d(Re b, Im b) = 2 (b - c).
    np.testing.assert_allclose(out.model.by, 1 - 2j, rtol=1e-11)


def test_single_precision_stays_single(regression, getkey):
    data = jax.tree.map(np.float32, regression[0])
    model = eqx.nn.Linear(3, 2, dtype=jnp.float32, key=getkey())
    out = fit(
        model, data, squared, optax.adam(1e-2), epochs=1, key=getkey(), progress=False
    )
    assert out.model.weight.dtype == out.history.loss.dtype == np.float32


def test_metrics_see_the_whole_test_part_without_dropout(regression, getkey, tmp_path):
    data = regression[0]
    seen = []

    def metric(y, targets):
        seen.append(y)
        np.testing.assert_array_equal(targets, data.test_y)
        return squared(y, targets)

    linear = eqx.nn.Linear(3, 2, key=getkey())
    model = eqx.nn.Sequential([eqx.nn.Dropout(0.9), linear])
    out = fit(
        model, data, squared, optax.sgd(0.1), epochs=5, batch_size=5, key=getkey(),
        metrics={"error": metric}, evaluate_every=2, progress=False,
    )  # fmt: skip
    assert out.history.steps.tolist() == [12, 24, 30]
    np.testing.assert_allclose(seen[-1], jax.vmap(out.model[1])(data.test_x))
    assert out.history.final() == {"error": out.history.metrics["error"][-1]}
    out.history.write_csv(tmp_path / "metrics.csv")
    with open(tmp_path / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_array_equal([float(r["loss"]) for r in rows], out.history.loss)
    evaluated = [r for r in rows if r["error"]]
    assert [int(r["step"]) for r in evaluated] == [12, 24, 30]


class Root(eqx.Module):
    """The square root of what is left of a budget: not a number once it is spent."""

    spent: Array

    def __call__(self, x, *, key=None):
        return jnp.sqrt(1.05 - self.spent) + 0.0 * x


class Corner(eqx.Module):
    """Finite where its argument is zero, but its slope is not."""

    shift: Array

    def __call__(self, x, *, key=None):
        return jnp.sqrt(jnp.abs(x)) + self.shift


def test_a_step_that_is_not_finite_is_named_and_not_made(getkey, tmp_path):
    linear = eqx.nn.Linear(2, 2, key=getkey())
    inner = eqx.nn.Sequential([eqx.nn.Identity(), Root(jnp.zeros(2))])
    model = eqx.nn.Sequential([linear, inner, eqx.nn.Identity()])

    def uphill(y, targets):
        return jnp.mean(y)

    def train(**saving):
        return fit(
            model, (np.ones((4, 2)), np.ones(4)), uphill, optax.sign_sgd(0.1),
            epochs=20, batch_size=4, key=jax.random.key(0), progress=False,
            **saving,
        )  # fmt: skip

    with pytest.raises(NonFiniteError, match=r"Step 12 .*\[1\]\[1\] \(Root\)") as first:
        train(checkpoint=tmp_path / "run")
    error = first.value
    assert error.step == 12 and len(error.history.loss) == 11
    np.testing.assert_allclose(error.model[1][1].spent, 1.1)
    assert np.isfinite(error.history.loss[:-1]).all()
    with pytest.raises(NonFiniteError, match="Step 12"):
        train(checkpoint=tmp_path / "run", resume=True)


def test_a_gradient_that_is_not_finite_names_where_it_arose(getkey):
    model = eqx.nn.Sequential(
        [
            eqx.nn.Linear(2, 2, use_bias=False, key=getkey()),
            Corner(jnp.zeros(2)),
            eqx.nn.Linear(2, 2, key=getkey()),
        ]
    )
    data = (np.zeros((4, 2)), np.ones((4, 2)))
    settings = {"epochs": 1, "batch_size": 4, "key": getkey(), "progress": False}
    with pytest.raises(NonFiniteError, match=r"Step 1 .*layer \[1\] \(Corner\)"):
        fit(model, data, squared, optax.sgd(0.1), **settings)

    class Custom(eqx.Module):
        parts: eqx.nn.Sequential

        def __call__(self, x, *, key=None):
            return self.parts(x, key=key)

    with pytest.raises(
        NonFiniteError, match=r"Custom .*`\.parts\.layers\[0\]\.weight`"
    ):
        fit(Custom(model), data, squared, optax.sgd(0.1), **settings)

    def logarithm(y, targets):
        return jnp.log(jnp.sum(0.0 * y))

    with pytest.raises(NonFiniteError, match="the objective of it is not"):
        fit(model, data, logarithm, optax.sgd(0.1), **settings)


def test_a_failing_device_costs_one_step_and_a_rerun_loses_nothing(getkey, tmp_path):
    class Gain(eqx.Module):
        gain: Array

        def __call__(self, x, *, key=None):
            return self.gain * x

    def train(fails_at, file):
        runs = 0

        def run(parameters, x):
            nonlocal runs
            runs += 1
            if runs == fails_at:
                raise RuntimeError("the laser is off")
            return parameters[0] * x

        everything = (-np.inf, np.inf)
        device = CallbackDevice(
            run, parameter_range=everything, input_range=everything,
            output_range=everything,
        )  # fmt: skip
        model = Physical(Gain(jnp.ones(2)), PhysicsAware(device))
        return fit(
            model, (np.ones((6, 2)), np.full((6, 2), 3.0)), squared, optax.adam(0.1),
            epochs=5, batch_size=2, key=jax.random.key(0), checkpoint=file,
            checkpoint_every=1000, resume=True, steps_per_call=1, progress=False,
        ), runs  # fmt: skip

    with pytest.raises(DeviceError, match="the laser is off"):
        train(8, tmp_path / "run")
    resumed, runs = train(0, tmp_path / "run")
    assert runs == 15 - 7
    whole, runs = train(0, tmp_path / "other")
    assert runs == 15
    assert bits(resumed.model) == bits(whole.model)


def nan_at(x):
    x = x.copy()
    x.flat[0] = np.nan
    return x


@pytest.mark.parametrize(
    "change, said",
    [
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"batch_size": 33}, "only 32 training examples"),
        ({"evaluate_every": 0}, "`evaluate_every`"),
        ({"steps_per_call": 0}, "`steps_per_call`"),
        ({"resume": True}, "`resume`"),
        ({"checkpoint_every": 10}, "`checkpoint_every`"),
        ({"data": (np.ones((3, 3)), np.ones((2, 2)))}, "3 inputs, but 2 targets"),
        ({"data": (nan_at(np.ones((40, 3))), np.ones((40, 2)))}, "inputs hold 1 value"),
        ({"data": (np.ones((40, 3)), nan_at(np.ones((40, 2))))}, "targets hold 1"),
        ({"data": (np.ones((0, 3)), np.ones((0, 2)))}, "no inputs"),
        ({"data": (np.ones((40, 3)),)}, "1 members"),
        ({"data": (np.ones((40, 3)), np.ones((40, 5)))}, r"float64\[32,2\].*\[32,5\]"),
        ({"data": (np.ones((40, 3)), np.ones((40, 2, 1)))}, "every pair of examples"),
        ({"objective": lambda y, t: y}, "take its mean"),
        ({"objective": lambda y, t: None}, "real scalar"),
        (
            {"data": (np.ones((40, 3)), np.ones((40, 2))), "metrics": {"e": squared}},
            "none: give",
        ),
        ({"model": eqx.nn.Identity()}, "no trainable parameter"),
    ],
)
def test_what_can_not_work_is_said_before_any_work(network, regression, change, said):
    call = {
        "model": network,
        "data": regression[0],
        "objective": squared,
        "epochs": 1,
        "batch_size": 32,
        "key": jax.random.key(0),
        "progress": False,
    } | change
    with pytest.raises(ValueError, match=said):
        fit(
            call.pop("model"), call.pop("data"), call.pop("objective"),
            optax.sgd(0.1), **call,
        )  # fmt: skip


def test_data_is_a_pair_or_a_data_set(network):
    with pytest.raises(TypeError, match="not list"):
        fit(
            network, [np.ones((4, 3)), np.ones((4, 2))], squared, optax.sgd(0.1),
            epochs=1, key=jax.random.key(0), progress=False,
        )  # fmt: skip


def test_a_model_without_a_key_is_told_how(regression, getkey):
    class Plain(eqx.Module):
        weight: Array

        def __call__(self, x):
            return self.weight @ x

    settings = {"epochs": 1, "key": getkey(), "progress": False}
    model, data = Plain(jnp.ones((2, 3))), regression[0]
    with pytest.raises(TypeError, match="noisy=False"):
        fit(model, data, squared, optax.sgd(0.1), **settings)
    fit(model, data, squared, optax.sgd(0.1), noisy=False, **settings)
    with pytest.raises(TypeError) as caught:
        fit(Plain(jnp.ones((2, 4))), data, squared, optax.sgd(0.1),
            noisy=False, **settings)  # fmt: skip
    assert "float64[32,3]" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_is_a_bar_in_a_terminal_and_lines_elsewhere(
    regression, getkey, capfd, monkeypatch, terminal
):
    model = eqx.nn.Linear(3, 2, key=getkey())
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "120")
    fit(
        model, regression[0], squared, optax.sgd(0.1), epochs=2, batch_size=16,
        key=getkey(), metrics={"error": squared},
    )  # fmt: skip
    shown = capfd.readouterr().err
    assert "loss" in shown and "error" in shown and "4/4" in shown
    if not terminal:
        assert [line.split()[1] for line in shown.splitlines()] == ["2/4", "4/4"]
