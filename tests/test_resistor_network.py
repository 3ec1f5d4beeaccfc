"""Resistor networks: Kirchhoff's laws, closed forms of diodes, and refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.special import lambertw

import pnnjax as pnn
from pnnjax.circuits import (
    BidirectionalAmplifier,
    ExponentialDiode,
    IdealDiode,
    ResistorNetwork,
)


def network(nodes, resistors, **settings):
    """`resistors`: {(a, b): ohm}."""
    g = 1 / jnp.asarray(list(resistors.values()), float)
    return ResistorNetwork(nodes, list(resistors), g, **settings)


@eqx.filter_jit
def settled(net, x):
    state = net.relax(net.initial_state(x), x, None)
    return state, net.node_voltages(state, x)


@eqx.filter_jit
def respond(net, x):
    return net(x)


def tree_and_more(rng, nodes, more):
    """A connected graph."""
    edges = [(int(rng.integers(i)), i) for i in range(1, nodes)]
    return edges + [tuple(map(int, rng.choice(nodes, 2, False))) for _ in range(more)]


def random_network(seed, kinds="", nodes=7, more=6, **settings):
    """With diodes of these kinds, `e` or `i`, each behind a resistor."""
    rng = np.random.default_rng(seed)
    edges = tree_and_more(rng, nodes, more)
    diodes = []
    for k, kind in enumerate(kinds):
        a, b = map(int, rng.choice(nodes, 2, False))
        edges.append((a, nodes + k))
        if kind == "e":
            slope = rng.uniform(1, 2)
            diodes.append(ExponentialDiode(nodes + k, b, 1e-12, slope))
        else:
            diodes.append(IdealDiode(nodes + k, b, rng.uniform(0, 1)))
    g = jnp.asarray(10 ** rng.uniform(-5, -2, len(edges)))
    settings = {"inputs": [0, 1], "fixed": {2: 0.0}, "outputs": [3, (4, 5)]} | settings
    return ResistorNetwork(nodes + len(kinds), edges, g, diodes=diodes, **settings)


def incidence(net):
    matrix = np.zeros((len(net.graph.edges), net.graph.nodes))
    for e, (a, b) in enumerate(net.graph.edges):
        matrix[e, a], matrix[e, b] = 1, -1
    return matrix


def leaving(net, v):
    """The current that leaves each node through resistors and junctions, and the
    largest one there is; not from the layer's own equations."""
    across = v @ incidence(net).T
    through = across * np.asarray(net.conductance)
    total, largest = through @ incidence(net), np.abs(through).max(-1)
    for d in net.graph.diodes:
        if isinstance(d, ExponentialDiode):
            drop = v[..., d.anode] - v[..., d.cathode]
            i = d.saturation_current * np.expm1(drop / d.slope_voltage)
            total[..., d.anode] += i
            total[..., d.cathode] -= i
    return total, largest


# Linear circuits


def test_voltage_divider(getkey):
    net = network(
        3, {(0, 1): 1e3, (1, 2): 3e3}, inputs=[0], fixed={2: 0.0}, outputs=[1]
    )
    x = jax.random.normal(getkey(), (2, 5, 1))
    np.testing.assert_allclose(respond(net, x), 0.75 * x, rtol=1e-14)
    assert net.facts.linear and net.facts.holomorphic


def test_series_and_parallel():
    net = network(
        4,
        {(0, 1): 100.0, (1, 2): 200.0, (2, 3): 300.0, (3, 2): 600.0},
        current_inputs=[0],
        fixed={3: 0.0},
        outputs=[0],
    )
    np.testing.assert_allclose(
        respond(net, jnp.asarray([0.01])), [0.01 * 500], rtol=1e-13
    )


def test_wheatstone_bridge():
    arms = {(0, 1): 120.0, (0, 2): 350.0, (1, 3): 240.0, (2, 3): 700.0, (1, 2): 55.0}
    pins = {"inputs": [0], "fixed": {3: 0.0}, "outputs": [(1, 2)]}
    bridge = network(4, arms, **pins)
    np.testing.assert_allclose(respond(bridge, jnp.asarray([5.0])), [0], atol=1e-14)
    # Thevenin's: the open-circuit voltage over source resistance plus detector.
    arms[(2, 3)] = 500.0
    open_voltage = 5 * (240 / 360 - 500 / 850)
    source = 120 * 240 / 360 + 350 * 500 / 850
    expected = open_voltage * 55 / (55 + source)
    bridge = network(4, arms, **pins)
    np.testing.assert_allclose(
        respond(bridge, jnp.asarray([5.0])), [expected], rtol=1e-13
    )


def test_two_port_reciprocity():
    both = {"fixed": {2: 0.0}, "inputs": [], "outputs": [3, 5]}
    net = random_network(1, current_inputs=[3, 5], **both)
    z = np.asarray(jax.jacobian(lambda x: respond(net, x))(jnp.zeros(2)))
    np.testing.assert_allclose(z[0, 1], z[1, 0], rtol=1e-12)
    assert z[0, 0] > z[0, 1] > 0


def test_one_factorization_serves_the_batch(getkey):
    net = random_network(2)
    x = jax.random.normal(getkey(), (4, 3, 2))
    jaxpr = str(jax.make_jaxpr(lambda net, x: net(x))(net, x))
    assert jaxpr.count("= cholesky") == 1
    mapped = jax.vmap(jax.vmap(lambda x: respond(net, x)))(x)
    np.testing.assert_allclose(respond(net, x), mapped, rtol=1e-12)


def test_conductances_can_be_batched(getkey):
    net, x = random_network(3, "e"), jax.random.normal(getkey(), (2,))
    many = jnp.stack([net.conductance, 2 * net.conductance])

    def of(g):
        return respond(eqx.tree_at(lambda n: n.conductance, net, g), x)

    np.testing.assert_allclose(
        jax.vmap(of)(many), jnp.stack([of(g) for g in many]), rtol=1e-10
    )


# Nonlinear circuits


@pytest.mark.parametrize("kinds", ["", "eeee", "iiii", "eieie"])
def test_kirchhoff_and_power_balance(kinds, getkey):
    net = random_network(0, kinds, max_steps=60)
    x = jnp.asarray([[0.3, 0.1], [5.0, -5.0], [-40.0, 12.0], [100.0, 90.0]])
    (_, flow), v = settled(net, x)
    flow, v = np.asarray(flow), np.asarray(v)
    total, largest = leaving(net, v)
    ideal = [d for d in net.graph.diodes if isinstance(d, IdealDiode)]
    for k, d in enumerate(ideal):
        i = flow[..., k]
        drop = v[:, d.anode] - v[:, d.cathode]
        assert (i >= -1e-12 * largest).all() and (drop <= d.offset + 1e-11).all()
        np.testing.assert_allclose(i * (drop - d.offset), 0, atol=1e-12)
        total[:, d.anode] += i
        total[:, d.cathode] -= i
    np.testing.assert_allclose(total[:, 3:] / largest[:, None], 0, atol=1e-9)
    # What the sources give is what the elements take, by Tellegen's theorem.
    given = (total[:, :3] * v[:, :3]).sum(-1)
    taken = ((v @ incidence(net).T) ** 2 * np.asarray(net.conductance)).sum(-1)
    for k, d in enumerate(ideal):
        taken = taken + flow[..., k] * d.offset
    for d in net.graph.diodes:
        if isinstance(d, ExponentialDiode):
            drop = v[:, d.anode] - v[:, d.cathode]
            i = d.saturation_current * np.expm1(drop / d.slope_voltage)
            taken = taken + i * drop
    np.testing.assert_allclose(given, taken, rtol=1e-9)


def lambert(source, resistance, diode):
    """Across a diode that a resistor feeds (V); in logarithms, against overflow."""
    slope, leak = diode.slope_voltage, diode.saturation_current * resistance
    exponent = np.log(leak / slope) + (source + leak) / slope
    w = np.where(exponent < 500, lambertw(np.exp(np.minimum(exponent, 500))).real, 0)
    return source + leak - slope * w


@pytest.mark.parametrize("resistance", [1.0, 1e3, 1e6])
def test_resistor_and_junction_in_closed_form(resistance):
    diode = ExponentialDiode(1, 2, 1e-12, 1.7)
    net = network(
        3,
        {(0, 1): resistance},
        inputs=[0],
        fixed={2: 0.0},
        outputs=[1],
        diodes=[diode],
    )
    source = np.asarray([-30.0, -0.1, 0.0, 0.2, 0.7, 3.0, 15.0])
    y = respond(net, jnp.asarray(source[:, None]))
    expected = lambert(source, resistance, diode)
    np.testing.assert_allclose(y[:, 0], expected, rtol=1e-9, atol=1e-15)


@pytest.mark.slow
def test_clamp_by_ideal_diodes():
    offset = 0.7
    diodes = [IdealDiode(1, 2, offset), IdealDiode(2, 1, offset)]
    net = network(
        3, {(0, 1): 1e3}, inputs=[0], fixed={2: 0.0}, outputs=[1], diodes=diodes
    )
    x = jnp.asarray([[-5.0], [-0.1], [0.0], [0.6], [80.0]])
    np.testing.assert_allclose(
        respond(net, x), jnp.clip(x, -offset, offset), atol=1e-14
    )
    slope = jax.jit(jax.grad(lambda x: net(x).sum()))(x)
    np.testing.assert_allclose(slope, jnp.abs(x) < offset, atol=1e-12)


def test_full_wave_rectifier():
    ends = [(0, 2), (1, 2), (3, 0), (3, 1)]
    net = network(
        5,
        {(4, 0): 1.0, (2, 3): 1e3, (2, 1): 1e9, (3, 1): 1e9},
        inputs=[4],
        fixed={1: 0.0},
        outputs=[(2, 3)],
        diodes=[IdealDiode(a, b) for a, b in ends],
    )
    x = jnp.asarray([[-3.0], [2.0], [10.0]])
    np.testing.assert_allclose(respond(net, x), jnp.abs(x) * 1000 / 1001, rtol=1e-5)


def test_diodes_in_parallel_share_the_current():
    diodes = [IdealDiode(1, 2, 0.5), IdealDiode(1, 2, 0.5)]
    net = network(
        3, {(0, 1): 10.0}, inputs=[0], fixed={2: 0.0}, outputs=[1], diodes=diodes
    )
    (_, flow), v = settled(net, jnp.asarray([2.0]))
    np.testing.assert_allclose(v[1], 0.5, rtol=1e-12)
    np.testing.assert_allclose(flow.sum(), 0.15, rtol=1e-6)


def test_junctions_in_series_share_the_voltage():
    diodes = [ExponentialDiode(1, 2), ExponentialDiode(2, 3)]
    net = network(
        4, {(0, 1): 1e3}, inputs=[0], fixed={3: 0.0}, outputs=[1, 2], diodes=diodes
    )
    top, middle = respond(net, jnp.asarray([5.0]))
    np.testing.assert_allclose(top, 2 * middle, rtol=1e-12)
    double = ExponentialDiode(1, 3, ideality=2.0)
    np.testing.assert_allclose(top, lambert(5.0, 1e3, double), rtol=1e-9)


def test_bidirectional_amplifier():
    """An amplifier between two dividers, against its definition."""
    gain, (r1, r2, r3, r4) = 4.0, (1e3, 2e3, 500.0, 700.0)
    net = network(
        5,
        {(0, 1): r1, (1, 4): r2, (2, 3): r3, (3, 4): r4},
        inputs=[0],
        fixed={4: 0.0},
        outputs=[3],
        amplifiers=[BidirectionalAmplifier(1, 2, gain)],
    )
    # V2 = A V1, and node 1 also feeds V2 / (r3 + r4) / A.
    load = 1 / (1 / r2 + 1 / (r3 + r4))
    expected = 3.0 * load / (r1 + load) * gain * r4 / (r3 + r4)
    np.testing.assert_allclose(respond(net, jnp.asarray([3.0])), [expected], rtol=1e-13)


# The energy


@pytest.mark.slow
@pytest.mark.parametrize("kinds", ["", "eee"])
def test_force_is_the_energys_slope_and_the_minimum_is_one(kinds, getkey):
    net = random_network(
        4, kinds, current_inputs=[6], fixed_currents={3: 1e-3}, outputs=[4, (5, 2)]
    )
    x = jnp.asarray([[1.0, 0.3, 1e-3], [0.2, -0.5, -2e-3]])
    state = net.initial_state(x)
    state = state._replace(voltage=jax.random.normal(getkey(), state.voltage.shape) / 9)
    slope = jax.grad(lambda s: jnp.sum(net.energy(s, x)))(state)
    force = net.residual(state, x)
    np.testing.assert_allclose(force.voltage, -slope.voltage, rtol=1e-8, atol=1e-15)
    best, _ = settled(net, x)
    for size in (1e-3, 0.1):
        moved = best.voltage + size * jax.random.normal(getkey(), best.voltage.shape)
        assert (net.energy(best._replace(voltage=moved), x) > net.energy(best, x)).all()


def test_energy_counts_each_stage_as_the_amplifier_asks():
    net = network(
        4,
        {(0, 1): 2.0, (2, 3): 5.0},
        inputs=[0],
        fixed={3: 0.0},
        outputs=[1],
        amplifiers=[BidirectionalAmplifier(1, 2, 3.0)],
    )
    state, v = settled(net, jnp.asarray([1.0]))
    stages = (v[0] - v[1]) ** 2 / 2 / 2, v[2] ** 2 / 5 / 2
    np.testing.assert_allclose(
        net.energy(state, jnp.asarray([1.0])), stages[0] + stages[1] / 9, rtol=1e-13
    )


@pytest.mark.slow
def test_slope_by_conductance_is_half_the_squared_drop(getkey):
    net = random_network(5, "ee")
    x = jax.random.normal(getkey(), (3, 2))
    state, v = settled(net, x)
    bar = eqx.filter_grad(lambda n: jnp.sum(n.energy(state, x)))(net)
    drops = np.asarray(v) @ incidence(net).T
    np.testing.assert_allclose(bar.conductance, (drops**2).sum(0) / 2, rtol=1e-10)


def test_nudge_is_a_current_into_the_outputs(getkey):
    net, x = random_network(6, "e"), jnp.asarray([0.4, -0.2])
    nudge = 1e-4 * jax.random.normal(getkey(), (2,))
    state = eqx.filter_jit(net.relax)(net.initial_state(x), x, nudge)
    total, _ = leaving(net, np.asarray(net.node_voltages(state, x)))
    expected = np.zeros(5)
    expected[0], expected[1], expected[2] = -nudge[0], -nudge[1], nudge[1]
    np.testing.assert_allclose(total[3:], np.r_[expected[:3], 0, 0][:5], atol=1e-13)


@pytest.mark.parametrize("kinds", ["", "ei"])
def test_clamped_outputs_are_held_and_the_rest_settles(kinds):
    net = random_network(7, kinds)
    x = jnp.asarray([[0.4, -0.2], [3.0, 1.0]])
    wanted = jnp.asarray([[0.1, 0.05], [0.7, -0.2]])
    state = eqx.filter_jit(net.relax_clamped)(net.initial_state(x), x, wanted)
    np.testing.assert_allclose(net.readout(state), wanted, rtol=1e-11)
    total, largest = leaving(net, np.asarray(net.node_voltages(state, x)))
    assert np.abs(total[:, 6] / largest).max() < 1e-12
    free, _ = settled(net, x)
    again = eqx.filter_jit(net.relax_clamped)(free, x, net.readout(free))
    np.testing.assert_allclose(again.voltage, free.voltage, rtol=1e-9, atol=1e-12)


# Derivatives and dtypes


@pytest.mark.slow
@pytest.mark.parametrize(("kinds", "order"), [("", 2), ("ei", 1)])
def test_derivatives(kinds, order):
    net, x = random_network(8, kinds), jnp.asarray([[0.5, 0.2], [-0.8, 0.7]])

    def of(g, x):
        changed = eqx.tree_at(lambda n: n.conductance, net, 1e-3 * jnp.asarray(g))
        return respond(changed, jnp.asarray(x))

    given = (1e3 * net.conductance, x)
    check_grads(of, given, order, modes=["fwd", "rev"], rtol=1e-4)


@pytest.mark.parametrize("kinds", ["", "ei"])
def test_single_precision(kinds):
    net, x = random_network(9, kinds), jnp.asarray([[0.5, 0.2], [-3.0, 5.0]])
    single = eqx.tree_at(
        lambda n: n.conductance, net, net.conductance.astype(jnp.float32)
    )
    y = respond(single, x.astype(jnp.float32))
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y, respond(net, x), rtol=1e-4, atol=1e-5)


def test_complex_nudges_are_followed_analytically():
    net, x = random_network(10, "e", outputs=[3, 4]), jnp.asarray([0.5, 0.2])
    free, _ = settled(net, x)
    relax = eqx.filter_jit(net.relax)

    def along(size):
        nudge = size * jnp.asarray([1e-4, -2e-4], complex)
        return net.readout(relax(free, x, nudge))

    forwards, turned = along(1e-4), along(1e-4j)
    rates = (forwards - along(0.0)) / 1e-4, (turned - along(0.0)) / 1e-4j
    np.testing.assert_allclose(*rates, rtol=1e-4)
    assert (jnp.abs(jnp.imag(turned)) > 1e3 * jnp.abs(jnp.imag(forwards))).all()


# Building, bounding and cutting


def test_projection_clips():
    net = random_network(11, low=1e-4, high=1e-3).project()
    assert net.conductance.min() >= 1e-4 and net.conductance.max() <= 1e-3


def test_cut_edges_conduct_nothing():
    net, x = random_network(12), jnp.asarray([1.0, 0.5])
    cut = net.without([7, 9])
    off = eqx.tree_at(
        lambda n: n.conductance, net, net.conductance.at[jnp.asarray([7, 9])].set(0)
    )
    np.testing.assert_allclose(respond(cut, x), respond(off, x), rtol=1e-12)
    with pytest.raises(ValueError, match=r"no edges \[99\]"):
        net.without([99])


PINS = {"inputs": [0], "fixed": {2: 0.0}, "outputs": [1]}
LINE = {(0, 1): 1.0, (1, 2): 1.0}


@pytest.mark.parametrize(
    ("nodes", "resistors", "changes", "message"),
    [
        (3, {(0, 1): 1.0, (1, 2): -4.0}, {}, "Edge 1, from node 1 to 2, .*-0.25 S"),
        (4, LINE, {}, "Node 3 floats"),
        (6, LINE | {(3, 4): 1.0}, {}, "Nodes 3, 4, 5 float"),
        (3, {(0, 1): 1.0, (1, 3): 1.0}, {}, "Edge 1 is at node 3.*0 to 2"),
        (3, LINE | {(1, 1): 1.0}, {}, "Edge 2 joins node 1 to itself"),
        (3, LINE, {"inputs": [0, 2]}, "Node 2 has two sources"),
        (3, LINE, {"current_inputs": [2]}, "Node 2 has two sources"),
        (3, LINE, {"inputs": [], "fixed": {}}, "No node has a voltage source"),
        (3, LINE, {"outputs": []}, "outputs"),
        (3, LINE, {"outputs": [2]}, "reads fixed voltages only"),
        (3, LINE, {"outputs": [(1, 0)]}, "which the input drives"),
        (3, LINE, {"low": 2.0, "high": 1.0}, "`low` and `high`"),
        (3, LINE, {"max_steps": 0}, "`max_steps`"),
        (4, LINE, {"diodes": [IdealDiode(1, 3)]}, "Node 3 floats"),
        (3, LINE, {"diodes": [IdealDiode(1, 5)]}, "Diode 0 is at node 5"),
        (
            4,
            LINE | {(1, 3): 1.0},
            {"amplifiers": [BidirectionalAmplifier(1, 3, 2.0)]},
            "path leads round the amplifier from node 1 to node 3",
        ),
        (
            3,
            LINE,
            {"amplifiers": [BidirectionalAmplifier(0, 2, 2.0)]},
            "Node 2 has two sources",
        ),
        (
            5,
            LINE,
            {
                "amplifiers": [
                    BidirectionalAmplifier(3, 4, 2.0),
                    BidirectionalAmplifier(4, 3, 0.5),
                ]
            },
            "in a ring",
        ),
    ],
)
def test_what_is_no_circuit_is_refused(nodes, resistors, changes, message):
    with pytest.raises(ValueError, match=message):
        network(nodes, resistors, **(PINS | changes))


def test_parts_are_checked():
    with pytest.raises(ValueError, match="3 edges|2 edges"):
        ResistorNetwork(3, list(LINE), jnp.ones(3), **PINS)
    with pytest.raises(ValueError, match="last axis must hold 1 voltages"):
        network(3, LINE, **PINS)(jnp.ones(2))
    with pytest.raises(ValueError, match="ideality"):
        ExponentialDiode(0, 1, ideality=0.0)
    with pytest.raises(ValueError, match="gain"):
        BidirectionalAmplifier(0, 1, -1.0)
    with pytest.raises(ValueError, match="offset"):
        IdealDiode(0, 1, float("nan"))
    twice = network(3, LINE, **(PINS | {"outputs": [1, (1, 2)]}))
    x = jnp.ones(1)
    with pytest.raises(ValueError, match="Output 1 follows"):
        twice.relax_clamped(twice.initial_state(x), x, jnp.ones(2))
    valve = network(3, LINE, diodes=[IdealDiode(1, 2)], **PINS)
    with pytest.raises(TypeError, match="complex nudge"):
        valve.relax(valve.initial_state(x), x, jnp.ones(1, complex))


def test_what_does_not_settle_says_so():
    diode = [ExponentialDiode(1, 2)]
    hard = network(3, LINE, diodes=diode, max_steps=2, **PINS)
    with pytest.raises(RuntimeError, match="raise `max_steps`"):
        respond(hard, jnp.asarray([9.0]))
    short = network(3, LINE, diodes=[IdealDiode(0, 2, 0.5)], **PINS)
    with pytest.raises(RuntimeError, match="contradict each other"):
        respond(short, jnp.asarray([1.0]))
    lost = eqx.tree_at(lambda n: n.conductance, network(3, LINE, **PINS), jnp.zeros(2))
    with pytest.raises(RuntimeError, match="no unique solution"):
        respond(lost, jnp.asarray([1.0]))


@pytest.mark.slow
@pytest.mark.parametrize("kinds", ["eee", "eie"])
def test_a_cold_start_of_many_circuits_settles(kinds):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (64, 2)) * 10 ** rng.uniform(-1, 2.3, (64, 1))
    net = random_network(20, 2 * kinds, max_steps=60)
    state, v = settled(net, jnp.asarray(x))
    force = net.residual(state, jnp.asarray(x)).voltage
    _, largest = leaving(net, np.asarray(v))
    assert (jnp.abs(force).max(-1) < 1e-9 * largest).all()


def test_facts():
    assert isinstance(random_network(0), pnn.AbstractClampableLayer)
    assert not random_network(0, "i").facts.holomorphic
    assert random_network(0, "e").facts.holomorphic
    assert not random_network(0, fixed={2: 1.0}).facts.linear


# Learning


def gradient(net, rule, x, targets):
    @eqx.filter_jit
    @eqx.filter_grad
    def of(model):
        return jnp.sum((model(x) - targets) ** 2)

    return of(pnn.Physical(net, rule)).layer.conductance


@pytest.mark.slow
def test_centered_contrast_is_exact_where_the_circuit_is_linear(getkey):
    net, x = random_network(13), jax.random.normal(getkey(), (4, 2))
    targets = jax.random.normal(getkey(), (4, 2))
    exact = gradient(net, pnn.estimators.Autodiff(), x, targets)
    rule = pnn.estimators.EquilibriumPropagation(beta=1e-4)
    np.testing.assert_allclose(
        gradient(net, rule, x, targets), exact, rtol=1e-8, atol=1e-8 * abs(exact).max()
    )


@pytest.mark.slow
def test_coupled_learning_follows_the_gradient_for_one_output_only(getkey):
    x, rule = jax.random.normal(getkey(), (1, 2)), pnn.estimators.CoupledLearning(1e-5)
    for outputs, low, high in (([3], 1 - 1e-7, 1.1), ([3, 4, 5], 0.1, 0.999)):
        net = random_network(14, outputs=outputs)
        targets = jnp.linspace(-1.0, 0.5, len(outputs))[None]
        exact = gradient(net, pnn.estimators.Autodiff(), x, targets)
        cosine = pnn.cosine_similarity(gradient(net, rule, x, targets), exact)
        assert low < cosine < high
