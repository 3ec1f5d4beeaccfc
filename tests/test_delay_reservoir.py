"""Delay loops, against closed forms and an integration that shares no code."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

import pnnjax as pnn
from pnnjax.oscillators import (
    BandPass,
    DelayReservoir,
    IkedaNode,
    LowPass,
    MackeyGlassNode,
    SineNode,
    binary_mask,
    sine_mask,
    uniform_mask,
)
from pnnjax.oscillators._loop_filter import decaying_sum, step_weights

KEY = jax.random.key(7)
DELAY = 20e-6  # s
respond = eqx.filter_jit(lambda reservoir, x: reservoir(x))
resume = eqx.filter_jit(lambda reservoir, x, state: reservoir.run(x, state))
shaken = eqx.filter_jit(lambda reservoir, x, key: reservoir(x, key=key))


def loop(node, nodes=4, inputs=1, **settings):
    mask = uniform_mask(nodes, inputs, key=KEY)
    return DelayReservoir(node, mask, **{"delay": DELAY, **settings})


def weights(reservoir):
    (mask,) = jax.tree.leaves(reservoir.mask)
    return np.asarray(mask)


def root(function, low, high):
    return float(np.asarray(scipy.optimize.brentq(function, low, high)))


def fine(reservoir, x, parts):
    """The delay equation by Heun's method, with so many steps to a node spacing."""
    node, mask = reservoir.node, weights(reservoir)
    (mode,) = reservoir.response.modes()
    lag = (reservoir.nodes + reservoir.offset) * parts
    h = reservoir.spacing / parts / mode.time
    drive = np.repeat((x @ mask.T).ravel(), parts)
    signal, past = np.zeros(drive.size + 1), np.zeros(drive.size + lag + 1)

    def f(z, j):
        phase = z + node.input_gain * j + node.bias
        return node.gain * math.sin(phase) ** 2

    for i, j in enumerate(drive):
        slope = f(past[i], j) - signal[i]
        guess = signal[i] + h * slope
        signal[i + 1] = signal[i] + 0.5 * h * (slope + f(past[i + 1], j) - guess)
        past[lag + i + 1] = signal[i + 1]
    return signal[parts::parts].reshape(len(x), -1)


def test_a_slow_node_follows_the_delay_equation_to_second_order():
    x = np.random.default_rng(0).normal(size=(8, 1))
    setting = {"response": LowPass(3e-6), "offset": 1}
    exact = fine(loop(IkedaNode(1.1), **setting), x, 400)
    errors = [
        np.abs(respond(loop(IkedaNode(1.1), substeps=n, **setting), x) - exact).max()
        for n in (2, 8)
    ]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.15) and errors[1] < 2e-3


def test_a_filter_step_is_exact_for_a_straight_drive():
    for h in (1e-5, 9e-4, 1.1e-3, 0.5, 60.0):
        decay, first, last = step_weights(h, 1.0)
        rise = lambda s, h=h: math.exp(s - h)  # noqa: E731
        whole, _ = scipy.integrate.quad(rise, 0, h, epsabs=0, epsrel=1e-12)
        late, _ = scipy.integrate.quad(
            lambda s, h=h: rise(s) * s / h, 0, h, epsabs=0, epsrel=1e-12
        )
        assert decay == pytest.approx(math.exp(-h), rel=1e-14)
        assert [first, last] == pytest.approx([whole - late, late], rel=1e-9)


def test_a_sum_of_decaying_terms_needs_no_loop():
    terms = np.random.default_rng(1).normal(size=(3, 11))
    expected, carried = [], np.array([1.0, -2.0, 0.0])
    start = jnp.asarray(carried)
    for column in terms.T:
        carried = 0.9 * carried + column
        expected.append(carried)
    found = decaying_sum(jnp.asarray(terms), start, 0.9)
    np.testing.assert_allclose(found.T, expected, rtol=1e-13)


def test_a_band_pass_filter_has_the_response_of_its_equation():
    tau, theta = 2.0, 30.0
    s = 1j * np.logspace(-3, 2, 7)
    modes = BandPass(tau, theta).modes()
    found = sum(mode.weight / (1 + s * mode.time) for mode in modes)
    np.testing.assert_allclose(found, s / (s + tau * s**2 + 1 / theta), rtol=1e-12)


def test_a_fast_node_is_the_published_map():
    """Paquot et al.: the first nodes see the last ones of the round before."""
    node, k = SineNode(0.9, 0.6, 0.3), 2
    reservoir = loop(node, nodes=5, inputs=2, offset=k)
    x = np.random.default_rng(2).normal(size=(7, 2))
    drive, states = x @ weights(reservoir).T, np.zeros((9, 5))
    for n, i in np.ndindex(7, 5):
        past = states[n + 1, i - k] if i >= k else states[n, 5 + i - k]
        states[n + 2, i] = math.sin(0.9 * past + 0.6 * drive[n, i] + 0.3)
    found = respond(reservoir, x)
    np.testing.assert_allclose(found, states[2:], atol=1e-14)
    assert reservoir.spacing == pytest.approx(DELAY / 7)
    assert reservoir.period == pytest.approx(DELAY * 5 / 7)
    slow = loop(node, 5, 2, offset=k, response=LowPass(1e-5 * reservoir.spacing))
    np.testing.assert_allclose(respond(slow, x), found, atol=5e-5)


def test_without_an_input_a_loop_comes_to_rest_where_the_node_repeats():
    nodes = (
        SineNode(0.7, bias=0.4),
        IkedaNode(0.9, bias=0.5),
        MackeyGlassNode(3.0, exponent=2.5),
    )
    silence = jnp.zeros((250, 1))

    def each(silence):
        for node in nodes:
            reservoir = loop(node, response=LowPass(5e-6))
            line = reservoir.initial_state(silence)
            # Away from zero, where a Mackey-Glass loop can rest too.
            line = line._replace(signal=line.signal + 0.3)
            rest = reservoir.run(silence, line)[0][-1]
            yield rest, node(rest, jnp.zeros(4))
        yield loop(nodes[0], response=BandPass(1e-6, 10e-6))(silence)[-1]

    *rests, passed = jax.jit(lambda s: tuple(each(s)))(silence)
    for rest, repeated in rests:
        np.testing.assert_allclose(rest, repeated, atol=1e-10)
        assert rest[0] > 0.1 and np.ptp(rest) < 1e-10
    np.testing.assert_allclose(passed, 0, atol=1e-9)


def test_a_fast_ikeda_loop_begins_to_alternate_where_the_slope_is_minus_one():
    phase = 1.0

    def slope(gain):
        rest = root(lambda x: gain * math.sin(x + phase) ** 2 - x, 0, gain)
        return gain * math.sin(2 * (rest + phase))

    threshold = root(lambda gain: slope(gain) + 1, 0.5, 1.5)
    for share in (0.97, 1.03):
        node = IkedaNode(jnp.asarray(share * threshold), bias=phase)
        states = respond(loop(node, 2, offset=0), jnp.zeros((600, 1)))
        before, last, again = np.asarray(states)[-3:]
        np.testing.assert_allclose(before, again, atol=1e-6)
        assert (np.abs(last - again).max() > 0.1) == (share > 1)


def test_a_slow_loop_oscillates_beyond_its_hopf_threshold():
    """At the slope -s, 1 + i w tau = -s exp(-i w T) has a root on the axis."""
    tau = DELAY / 4
    w = root(
        lambda w: math.tan(w * DELAY) + w * tau,
        0.501 * math.pi / DELAY,
        math.pi / DELAY,
    )
    threshold = math.hypot(1, w * tau)
    setting = {"response": LowPass(tau), "offset": 0}
    for share in (0.97, 1.03):
        node = SineNode(jnp.asarray(-share * threshold))
        reservoir = loop(node, 20, **setting)
        start = reservoir.initial_state(jnp.zeros((1, 1)))
        start = start._replace(signal=start.signal + 1e-3)
        states = np.asarray(resume(reservoir, jnp.zeros((150, 1)), start)[0])
        early, late = np.abs(states[10:30]).max(), np.abs(states[-20:]).max()
        assert (late > early) == (share > 1)
        assert not 0.5 < late / early < 2


def test_a_loop_forgets_how_it_began_and_can_be_continued():
    reservoir = loop(SineNode(0.8), response=LowPass(1e-6))
    x = jax.random.normal(KEY, (3, 120, 1))
    start = reservoir.initial_state(x)
    states, end = resume(reservoir, x, start)
    other = start._replace(signal=start.signal + 1)
    apart = np.abs(resume(reservoir, x, other)[0] - states).max((0, 2))
    assert apart[0] > 0.1 and apart[-1] < 1e-9 * apart[0]
    half, middle = resume(reservoir, x[:, :60], start)
    rest, last = resume(reservoir, x[:, 60:], middle)
    np.testing.assert_allclose(np.concatenate([half, rest], 1), states, rtol=1e-12)
    np.testing.assert_allclose(last.signal, end.signal, rtol=1e-12)
    one, _ = resume(reservoir, x[0], reservoir.initial_state(x[0]))
    np.testing.assert_allclose(states[0], one, rtol=1e-11)
    single = respond(reservoir, x.astype(jnp.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, states, atol=1e-5)


def test_noise_is_drawn_at_each_node_and_goes_round():
    x = jnp.zeros((4000, 1))
    # x' = a x + noise has the variance noise^2 / (1 - a^2), where the sine is straight.
    for gain, spread in ((0.0, 1e-3), (0.8, 1e-3 / 0.6)):
        node = SineNode(jnp.asarray(gain), 0.0)
        states = shaken(loop(node, noise=1e-3, substeps=2), x, KEY)
        assert np.std(states) == pytest.approx(spread, rel=0.05)
        alike = np.corrcoef(states.T) - np.eye(4)
        assert np.abs(alike).max() < 0.2
    assert not loop(node, noise=1e-3, substeps=2)(x[:3]).any()


def test_masks_have_the_numbers_they_promise():
    binary = np.asarray(binary_mask(200, 30, key=KEY, density=0.3))
    assert set(np.unique(binary)) == {-1.0, 0.0, 1.0}
    assert np.mean(binary != 0) == pytest.approx(0.3, abs=0.03)
    assert set(np.unique(binary_mask(50, key=KEY))) == {-1.0, 1.0}
    uniform = np.asarray(uniform_mask(200, 30, key=KEY))
    assert np.abs(uniform).max() <= 1 and uniform.var() == pytest.approx(1 / 3, rel=0.1)
    sines = np.asarray(sine_mask(16, 3))
    np.testing.assert_allclose(sines.T @ sines, 8 * np.eye(3), atol=1e-12)


def test_only_the_mask_can_be_trained_and_only_if_asked():
    count = lambda r: len(  # noqa: E731
        jax.tree.leaves(eqx.filter(r, pnn.is_trainable(r)))
    )
    mask = jnp.ones((3, 1))
    assert count(DelayReservoir(IkedaNode(), mask, delay=DELAY)) == 0
    assert count(DelayReservoir(IkedaNode(), mask, delay=DELAY, train_mask=True)) == 1


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: loop(SineNode(), delay=0.0), "delay must be positive"),
        (lambda: loop(SineNode(), offset=-1), "`offset` must be 0 or more"),
        (lambda: loop(SineNode(), noise=-1.0), "`noise` must be 0 or more"),
        (lambda: LowPass(-1.0), "can't be -1.0 s"),
        (lambda: BandPass(1.0, 3.0), "longer than four response times"),
        (lambda: binary_mask(3, key=KEY, density=0.0), "`density` is a share"),
        (lambda: sine_mask(0), "at least one node"),
        (lambda: loop(SineNode(), inputs=2)(jnp.zeros((4, 1))), "mask is for 2 inputs"),
    ],
)
def test_what_can_not_be_built_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.slow
def test_fifty_nodes_make_narma10_as_well_as_published_and_as_a_shift_register():
    """Paquot et al.: 0.168 +- 0.015. Settings were chosen with other seeds."""
    start = 200
    parts = [pnn.data.narma10(3000 + start, seed=seed) for seed in (1, 2)]
    inputs = [jnp.asarray(4 * part.inputs - 1) for part in parts]
    targets = [jnp.asarray(part.targets[start:]) for part in parts]

    def error(states_of):
        train, test = (states_of(u)[start:] for u in inputs)
        readout = pnn.Readout.ridge(train, targets[0], 1e-8)
        return float(pnn.objectives.nmse(readout(test), targets[1]))

    def taps(u):
        return jnp.stack([jnp.roll(u[:, 0], k).at[:k].set(0) for k in range(50)], 1)

    errors = [
        error(
            DelayReservoir(
                SineNode(0.8, 0.1, 0.02),
                uniform_mask(50, key=jax.random.key(seed)),
                delay=8.5e-6,
            )
        )
        for seed in range(5)
    ]
    assert np.mean(errors) < 0.168
    assert np.mean(errors) / error(taps) == pytest.approx(1, abs=0.08)
