"""Deep resistive networks: Kirchhoff's laws, exact descent, and their gradients."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize

import pnnjax as pnn
from pnnjax.circuits import DeepResistiveNetwork
from pnnjax.estimators import EquilibriumPropagation, ImplicitDifferentiation
from pnnjax.integrators import FixedSteps, UntilSettled

SETTLED = UntilSettled(1e-14, 1e-14)


def network(key, sizes=(4, 6, 5, 3), relaxation=SETTLED, **settings):
    """With every current source on."""
    made = DeepResistiveNetwork(sizes, key=key, relaxation=relaxation, **settings)
    keys = jax.random.split(key, len(made.current))
    currents = tuple(
        0.3 * jax.random.normal(own, b.shape)
        for own, b in zip(keys, made.current, strict=True)
    )
    return eqx.tree_at(lambda net: net.current, made, currents)


@eqx.filter_jit
def settled(net, x, nudge=None):
    return net.relax(net.initial_state(x), x, nudge)


@eqx.filter_jit
def energy(net, state, x):
    return net.energy(state, x)


@eqx.filter_jit
def force(net, state, x):
    return jax.grad(lambda state: -net.energy(state, x).sum())(state)


@eqx.filter_jit
def residual(net, state, x):
    return net.residual(state, x)


@eqx.filter_jit
def gradient(model, x):
    """Of the mean cube of the outputs, in conductances and then in currents."""
    bar = eqx.filter_grad(lambda model: jnp.mean(model(x) ** 3))(model)
    bar = bar.layer if isinstance(bar, pnn.Physical) else bar
    return [*bar.conductance, *bar.current]


def resistors(net, x, state):
    """Every resistor by itself: (layer, left, right, voltage left, right, S)."""
    nodes = [net.input_gain * np.concatenate([x, -x])]
    nodes += [net.gain * np.asarray(v) for v in state[:-1]]
    for layer, (g, before, after) in enumerate(
        zip(net.conductance, nodes, state, strict=True)
    ):
        g, after = np.asarray(g), np.asarray(after)
        for i, j in itertools.product(range(g.shape[0]), range(g.shape[1])):
            yield layer, i, j, before[i], after[j], g[i, j]


def net_currents(net, x, state):
    """Into each free node, from all that it is connected to but its diode (A)."""
    into = [np.array(b) for b in net.current]
    for layer, i, j, before, after, g in resistors(net, x, state):
        current = g * (before - after)
        into[layer][j] += current
        if layer > 0:
            into[layer - 1][i] -= current / net.gain
    return into


def sizes(part):
    """How large the arrays are that a jaxpr, or what is inside one, makes."""
    if isinstance(part, ClosedJaxpr):
        part = part.jaxpr
    if isinstance(part, Jaxpr):
        for equation in part.eqns:
            yield from (out.aval.size for out in equation.outvars)
            yield from sizes(list(equation.params.values()))
    if isinstance(part, tuple | list):
        for inner in part:
            yield from sizes(inner)


@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_kirchhoffs_current_law(gain, getkey):
    net = network(getkey(), gain=gain, input_gain=3.0)
    x = jax.random.normal(getkey(), (4,))
    state = settled(net, x)
    largest = max(abs(g * (p - v)) for *_, p, v, g in resistors(net, x, state))
    held = 0
    for layer, into in enumerate(net_currents(net, x, state)):
        v = np.asarray(state[layer])
        if layer == len(state) - 1:
            assert np.abs(into).max() < 1e-9 * largest
            continue
        up = np.arange(v.size) < (v.size + 1) // 2
        assert (v[up] >= 0).all() and (v[~up] <= 0).all()
        assert np.abs(into[v != 0]).max() < 1e-9 * largest
        # A diode conducts one way: out of the ground for the first half.
        assert (into[(v == 0) & up] < 0).all() and (into[(v == 0) & ~up] > 0).all()
        held += (v == 0).sum()
    assert held > 0


def test_sources_deliver_what_resistors_lose(getkey):
    net = network(getkey(), input_gain=2.0)
    x = jax.random.normal(getkey(), (4,))
    state = settled(net, x)
    lost = delivered = 0.0
    for layer, _, _, before, after, g in resistors(net, x, state):
        lost += g * (before - after) ** 2
        delivered += before * g * (before - after) if layer == 0 else 0
    delivered += sum(b @ v for b, v in zip(net.current, state, strict=True))
    assert delivered == pytest.approx(lost, rel=1e-12)


@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_energy_is_half_the_lost_power_less_what_the_current_sources_give(gain, getkey):
    net = network(getkey(), gain=gain, input_gain=2.0)
    x = jax.random.normal(getkey(), (4,))
    state = tuple(jax.random.normal(getkey(), b.shape) for b in net.current)
    grounded = jax.tree.map(jnp.zeros_like, state)

    def co_content(state):
        total = 0.0
        for layer, _, _, before, after, g in resistors(net, x, state):
            total += gain ** (-2 * layer) * g * (before - after) ** 2 / 2
        for layer, (b, v) in enumerate(zip(net.current, state, strict=True)):
            total -= gain ** (-2 * layer) * b @ v
        return float(total)

    expected = co_content(state) - co_content(grounded)
    assert float(energy(net, state, x)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_a_bounded_minimizer_finds_the_same_voltages(gain, getkey):
    net = network(getkey(), (3, 4, 3, 2), gain=gain, input_gain=2.0)
    x = jax.random.normal(getkey(), (3,))
    state = settled(net, x)
    flat, unravel = ravel_pytree(state)
    both = jax.jit(jax.value_and_grad(lambda flat: net.energy(unravel(flat), x)))
    up, down = (0, None), (None, 0)
    bounds = 2 * [up] + 2 * [down] + 2 * [up] + [down] + 2 * [(None, None)]
    found = minimize(
        lambda v: tuple(map(np.asarray, both(jnp.asarray(v)))),
        np.zeros(flat.size),
        jac=True,
        bounds=bounds,
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    np.testing.assert_allclose(found.x, flat, atol=1e-6 * np.abs(flat).max())


@pytest.mark.parametrize("x", [-2.0, 0.5])
def test_one_hidden_node_divides_the_voltage(x):
    net = DeepResistiveNetwork((1, 1, 1), key=jax.random.key(0), input_gain=3.0)
    plus, minus, out, drawn = 0.7, 0.2, 0.4, 0.1
    net = eqx.tree_at(
        lambda net: (*net.conductance, net.current[1]),
        net,
        (jnp.array([[plus], [minus]]), jnp.array([[out]]), jnp.array([-drawn])),
    )
    net = eqx.tree_at(lambda net: net.relaxation, net, SETTLED)
    # The current that is drawn comes through the hidden node, unless its diode gives it
    hidden = max(0.0, (3.0 * x * (plus - minus) - drawn) / (plus + minus))
    y = eqx.filter_jit(net)(jnp.array([x]))
    assert float(y[0]) == pytest.approx(hidden - drawn / out, rel=1e-12)


def test_no_half_step_raises_the_energy(getkey):
    net = network(getkey(), (4, 6, 3), FixedSteps(1, 1), gain=2.0, input_gain=2.0)
    x = jax.random.normal(getkey(), (50, 4))
    state = tuple(jax.random.normal(getkey(), (50, m)) for m in (6, 3))
    # The diodes do not let a node start on their other side.
    sign = jnp.broadcast_to(jnp.array([1.0, 1, 1, -1, -1, -1]), (50, 6))
    state = (sign * jnp.abs(state[0]), state[1])
    hidden = eqx.filter_jit(lambda net, s: net.relax_clamped(s, x, s[1]))
    output = eqx.filter_jit(lambda net, s: net.relax(s, x, None))
    energies = [energy(net, state, x)]
    for half_step in 3 * [hidden, output]:
        state = half_step(net, state)
        energies.append(energy(net, state, x))
    change = np.diff(np.stack(energies), axis=0)
    assert (change <= 1e-12 * np.abs(energies[0])).all()
    assert (change[:2] < 0).all()


def test_residual_is_the_force_that_diodes_leave(getkey):
    net = network(getkey(), gain=2.0)
    x = jax.random.normal(getkey(), (5, 4))
    state = settled(net, x)
    assert all(float(jnp.abs(r).max()) < 1e-12 for r in residual(net, state, x))
    # With other outputs, the forces on them and on the layer before are no longer zero.
    moved = (*state[:-1], state[-1] + 1.0)
    found, all_of_it = residual(net, moved, x), force(net, moved, x)
    np.testing.assert_allclose(found[0], 0 * found[0], atol=1e-12)
    np.testing.assert_allclose(found[2], all_of_it[2], rtol=1e-9)
    held = np.asarray(moved[1]) == 0
    partly = np.abs(found[1]) <= np.abs(all_of_it[1]) + 1e-12
    same_way = np.asarray(found[1]) * np.asarray(all_of_it[1]) >= 0
    assert partly.all() and same_way.all()
    assert (np.asarray(found[1])[~held] != 0).all()


def test_amplifiers_only_scale_voltages(getkey):
    key, x = getkey(), jax.random.normal(getkey(), (5, 4))
    plain, amplified = (
        DeepResistiveNetwork((4, 6, 5, 3), key=key, gain=a, relaxation=SETTLED)
        for a in (1.0, 4.0)
    )
    for layer, (v, w) in enumerate(
        zip(settled(plain, x), settled(amplified, x), strict=True)
    ):
        np.testing.assert_allclose(w, 4.0**layer * v, rtol=1e-9, atol=1e-12)


def test_only_ratios_of_conductances_and_currents_count(getkey):
    net, x = network(getkey()), jax.random.normal(getkey(), (5, 4))
    arrays, rest = eqx.partition(net, eqx.is_inexact_array)
    micro = eqx.combine(jax.tree.map(lambda leaf: 1e-6 * leaf, arrays), rest)
    nudge = jax.random.normal(getkey(), (5, 3))
    np.testing.assert_allclose(
        settled(micro, x, 1e-6 * nudge)[-1], settled(net, x, nudge)[-1], rtol=1e-9
    )


def test_a_nudge_is_a_current_drawn_from_the_output(getkey):
    net, x = network(getkey(), gain=2.0), jax.random.normal(getkey(), (5, 4))
    nudge = jax.random.normal(getkey(), (5, 3))
    state = settled(net, x, nudge)
    np.testing.assert_allclose(force(net, state, x)[-1], nudge, atol=1e-12)


def test_clamped_outputs_stay_and_the_rest_settles(getkey):
    net, x = network(getkey()), jax.random.normal(getkey(), (5, 4))
    target = jax.random.normal(getkey(), (5, 3))
    state = eqx.filter_jit(net.relax_clamped)(settled(net, x), x, target)
    np.testing.assert_array_equal(net.readout(state), target)
    *hidden, output = residual(net, state, x)
    assert all(float(jnp.abs(r).max()) < 1e-12 for r in hidden)
    assert float(jnp.abs(output).max()) > 1e-3


@pytest.mark.parametrize(
    "rule", [EquilibriumPropagation(1e-3), ImplicitDifferentiation()]
)
def test_rules_are_exact_until_a_diode_switches(rule, getkey):
    net, x = network(getkey(), gain=2.0), jax.random.normal(getkey(), (5, 4))
    measured, exact = gradient(pnn.Physical(net, rule), x), gradient(net, x)
    assert pnn.relative_error(measured, exact) < 1e-8


@pytest.mark.slow
def test_single_precision_keeps_the_contrast_of_two_energies(getkey):
    net = DeepResistiveNetwork((100, 30, 10), key=getkey(), input_gain=500.0)
    x = jax.random.uniform(getkey(), (16, 100))
    exact = gradient(net, x)
    single = jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf,
        net,
    )
    model = pnn.Physical(single, EquilibriumPropagation(1.0))
    found = gradient(model, x.astype(jnp.float32))
    assert found[0].dtype == jnp.float32
    assert pnn.relative_error([leaf.astype(float) for leaf in found], exact) < 3e-3


def test_no_array_is_batch_by_inputs_by_outputs(getkey):
    net = DeepResistiveNetwork((40, 30, 10), key=getkey())
    model = pnn.Physical(net, EquilibriumPropagation(0.1))
    x = jax.random.normal(getkey(), (20, 40))
    arrays, rest = eqx.partition(model, eqx.is_array)

    def loss(arrays):
        return jnp.sum(jax.vmap(eqx.combine(arrays, rest))(x) ** 2)

    jaxpr = jax.make_jaxpr(jax.grad(loss))(arrays)
    assert max(sizes(jaxpr)) == 2 * 40 * 30


def test_any_leading_axes_and_either_precision(getkey):
    net = network(getkey(), relaxation=FixedSteps(4, 4))
    x = jax.random.normal(getkey(), (2, 3, 4))
    y = eqx.filter_jit(net)(x)
    assert y.shape == (2, 3, 3)
    single = eqx.filter_jit(net)(x.astype(jnp.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, y, rtol=1e-4, atol=1e-5)
    one_by_one = eqx.filter_jit(jax.vmap(jax.vmap(net)))(x)
    np.testing.assert_allclose(one_by_one, y, rtol=1e-12, atol=1e-14)


def test_conductances_begin_and_stay_in_the_window(getkey):
    window = (0.01, 0.1)
    net = DeepResistiveNetwork((4, 6, 3), key=getkey(), window=window)
    moved = eqx.tree_at(
        lambda net: net.conductance,
        net,
        tuple(g + 0.2 * jax.random.normal(getkey(), g.shape) for g in net.conductance),
    )
    for g in (*net.conductance, *moved.project().conductance):
        assert float(g.min()) >= 0.01 and float(g.max()) <= 0.1
    np.testing.assert_array_equal(moved.project().current[0], moved.current[0])


@pytest.mark.parametrize(
    "arguments, culprit",
    [
        ({"sizes": (4,)}, "`sizes`"),
        ({"sizes": (4, 0, 2)}, "`sizes`"),
        ({"input_gain": 0.0}, "`input_gain`"),
        ({"gain": -1.0}, "`gain`"),
        ({"scale": 0.0}, "`scale`"),
        ({"window": (-0.1, 1.0)}, "`window`"),
        ({"window": (1.0, 1.0)}, "`window`"),
        ({"window": (0.1, 1.0), "scale": 0.1}, "lower end of `window`"),
    ],
)
def test_what_can_not_be_built_is_refused(arguments, culprit):
    with pytest.raises(ValueError, match=culprit):
        DeepResistiveNetwork(
            **{"sizes": (4, 6, 2), "key": jax.random.key(0)} | arguments
        )


@pytest.mark.parametrize(
    "change, culprit",
    [
        (lambda g: -g, r"`conductance\[1\]` holds a negative value"),
        (lambda g: g * jnp.nan, r"`conductance\[1\]` holds a negative value or NaN"),
        (lambda g: 0 * g, "A node of layer 1 .* floats"),
    ],
)
def test_a_circuit_without_a_solution_is_refused_when_it_runs(change, culprit, getkey):
    net = DeepResistiveNetwork((4, 6, 3), key=getkey())
    faulty = eqx.tree_at(lambda net: net.conductance[1], net, replace_fn=change)
    with pytest.raises(Exception, match=culprit):
        jax.block_until_ready(eqx.filter_jit(faulty)(jnp.ones(4)))


def test_a_network_that_does_not_settle_says_so(getkey):
    net = network(getkey(), relaxation=UntilSettled(1e-14, 1e-14, max_steps=2))
    with pytest.raises(Exception, match="did not settle within 2 steps"):
        jax.block_until_ready(eqx.filter_jit(net)(jnp.ones(4)))
