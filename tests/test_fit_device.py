"""Pulse data: models are found again from what they would do, files are checked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax.circuits import (
    VTEAM,
    ConstantStep,
    ExponentialStep,
    LinearStep,
    PowerStep,
    PulseData,
    SoftBounds,
    fit_device,
    read_pulses,
)

MAXIMUM = 20e-6
DEVICES = {
    "constant": ConstantStep(0.02, 0.1, 0.9, 0.2),
    "linear": LinearStep(0.02, 0.1, 0.9, -0.1, slope_up=0.6, slope_down=0.3),
    "soft": SoftBounds(0.02, 0.1, 0.9, 0.1),
    "exponential": ExponentialStep(0.03, 0.1, 0.9, 0.1),
    "power": PowerStep(0.05, 0.1, 0.9, 0.1, exponent_up=1.8, exponent_down=0.7),
}
DAILY = "soft"
kinds = pytest.mark.parametrize(
    "name",
    [n if n == DAILY else pytest.param(n, marks=pytest.mark.slow) for n in DEVICES],
)


def course(device, per_sweep=80, sweeps=4, start=0.15):
    """Up and down, pulse by pulse, of a cell like the mean one, and without noise."""
    direction = np.tile(np.repeat([1, -1], per_sweep), sweeps // 2)

    @jax.jit
    def run():
        bare = device.__class__(
            **{f: getattr(device, f) for f in _numbers(device)}, variation=QUIET
        )
        state = jnp.asarray(start)
        cell = bare.manufacture(state, key=None)

        def pulse(state, way):
            up, down = jnp.maximum(way, 0), jnp.maximum(-way, 0)
            state, _ = bare.pulse(state, cell, up, down, key=None)
            return state, state

        return jax.lax.scan(pulse, state, jnp.asarray(direction, float))[1]

    states = np.concatenate([[start], run()])
    pulses = np.arange(len(states))
    return PulseData(pulses, np.concatenate([[0], direction]), MAXIMUM * states)


def _numbers(device):
    names = vars(device)
    return [n for n in names if n not in ("variation", "lifetime", "diffusion")]


QUIET = SoftBounds(0.01).variation.__class__(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@kinds
def test_a_cell_is_found_again(name):
    device = DEVICES[name]
    data = course(device)
    fit = fit_device(data, type(device), maximum=MAXIMUM)
    # The laws are those of single pulses; devices take many at a time, to 1e-5.
    assert fit.residual < 2e-5 * MAXIMUM and fit.maximum == MAXIMUM
    np.testing.assert_allclose(fit.predicted, data.conductance, atol=1e-4 * MAXIMUM)
    if name == "exponential":
        # Its four numbers describe the same course in other ways too.
        again = course(fit.device)
        np.testing.assert_allclose(
            again.conductance, data.conductance, atol=2e-4 * MAXIMUM
        )
        ours, theirs = fit.device.middle_steps, device.middle_steps
    else:
        names = [n for n in _numbers(device) if not n.endswith("spread")]
        ours = [getattr(fit.device, n) for n in names]
        theirs = [getattr(device, n) for n in names]
    np.testing.assert_allclose(ours, theirs, rtol=5e-3)


def test_noise_and_reads_that_went_wrong():
    device, random = DEVICES["soft"], np.random.default_rng(0)
    data = course(device)
    noise = 0.01 * MAXIMUM * random.normal(size=len(data.pulse))
    noise[random.choice(len(noise), 8, replace=False)] = 0.4 * MAXIMUM
    noisy = data._replace(conductance=data.conductance + noise)
    fit = fit_device(noisy, SoftBounds, maximum=MAXIMUM)
    for field in ("step", "low", "high"):
        expected = getattr(device, field)
        assert getattr(fit.device, field) == pytest.approx(expected, rel=0.05, abs=0.01)
    np.testing.assert_allclose(fit.predicted, data.conductance, atol=0.01 * MAXIMUM)
    # Two reads to a step; the second one passes on 0.97 of what the first was off.
    assert fit.step_noise == pytest.approx(0.01 * MAXIMUM * 2**0.5, rel=0.15)
    wrong = np.sqrt(0.01**2 + 8 * 0.4**2 / len(noise)) * MAXIMUM
    assert fit.residual == pytest.approx(wrong, rel=0.05)


def write(path, rows, header="pulse,direction,conductance"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_file_is_the_same_as_its_contents(tmp_path):
    data = course(DEVICES["soft"])
    words = {0: "", 1: "up", -1: "-1"}
    rows = [f"{g}, {words[d]} ,x,{p}" for p, d, g in zip(*map(np.ndarray.tolist, data))]
    path = write(tmp_path / "a.csv", rows, "Conductance,Direction,comment,Pulse")
    for ours, theirs in zip(read_pulses(path), data, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    fit, same = (fit_device(d, SoftBounds) for d in (path, data))
    assert fit.device == same.device and fit.maximum == data.conductance.max()


@pytest.mark.slow
def test_reads_may_leave_out_pulses():
    data = course(DEVICES["soft"])
    some = np.arange(0, len(data.pulse), 5)
    part = PulseData(*(column[some] for column in data))
    fit = fit_device(part, SoftBounds, maximum=MAXIMUM)
    assert fit.device.step == pytest.approx(0.02, rel=1e-3)
    assert np.isnan(fit.step_noise)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["0,,1e-6", "1,up,x"], "Row 3 of .*: conductance 'x' is no number"),
        (["0,,1e-6", "1,up"], "Row 3 of .*: conductance '' is no number"),
        (["0,,1e-6", "1,up,nan"], "Row 3 of .*: a conductance can't be nan S"),
        (["0,,1e-6", "1,up,-1e-6"], "Row 3 of .*: a conductance can't be -1e-06 S"),
        (["0,,1e-6", "1,left,1e-6"], "Row 3 of .*: direction 'left' is neither"),
        (["0,,1e-6", "1.5,up,1e-6"], "Row 3 of .*: pulse '1.5' is no number"),
        (["2,up,1e-6", "2,up,1e-6"], "Row 3 of .*: pulse 2 follows 2, but"),
        (["1,up,1e-6", "2,0,1e-6"], "Row 3 of .*: 1 pulses since .* of direction 0"),
        ([], "no row below its first one"),
        (["1,up,1e-6", "2,down,2e-6"], "2 reads, .* can't determine 5 numbers"),
    ],
)
def test_what_is_malformed_is_named(tmp_path, rows, words):
    with pytest.raises(ValueError, match=words):
        fit_device(write(tmp_path / "a.csv", rows), SoftBounds)


def test_what_else_can_not_work_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no column 'direction'.* pulse, conductance"):
        read_pulses(write(tmp_path / "a.csv", ["1,2"], "pulse,conductance"))
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is no CSV file"):
        read_pulses(tmp_path / "b.csv")
    ones = PulseData(np.arange(1, 99), np.ones(98, int), np.ones(98))
    with pytest.raises(ValueError, match="pulses in both directions"):
        fit_device(ones, SoftBounds)
    flat = ones._replace(direction=np.tile([1, -1], 49))
    with pytest.raises(ValueError, match="is 1.0 S everywhere"):
        fit_device(flat, SoftBounds)
    with pytest.raises(TypeError, match="kind"):
        fit_device(flat, VTEAM)
    bad = flat._replace(conductance=np.where(flat.pulse == 5, np.inf, 1.0))
    with pytest.raises(ValueError, match="Row 4: a conductance can't be inf S"):
        fit_device(bad, SoftBounds)
