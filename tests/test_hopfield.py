"""Hopfield networks: where they settle, how their energy falls, what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.integrators import FixedSteps, UntilSettled
from pnnjax.spins import (
    AsymmetricNetwork,
    DenseCoupling,
    FullyConnectedHopfield,
    HardSigmoid,
    HopfieldNetwork,
    Sigmoid,
    Tanh,
)

KEY = jax.random.key(3)
SETTLED = UntilSettled(1e-13, 1e-13)
ACTIVATIONS = [HardSigmoid(), Sigmoid(), Tanh()]
SMOOTH = [Sigmoid(), Sigmoid(2.0, 0.0), Tanh()]


def name_of(value):
    return type(value).__name__ if isinstance(value, eqx.Module) else None


def layered(activation=HardSigmoid(), relaxation=SETTLED, **settings):
    return HopfieldNetwork(
        (5, 4, 3, 2), key=KEY, activation=activation, relaxation=relaxation, **settings
    )


def full(activation=HardSigmoid(), relaxation=SETTLED, **settings):
    return FullyConnectedHopfield.random(
        5, 6, 2, key=KEY, activation=activation, relaxation=relaxation, **settings
    )


def inputs(*batch, size=5):
    return jax.random.uniform(jax.random.key(1), (*batch, size))


@eqx.filter_jit
def relaxed(network, state, x, nudge=None):
    return network.relax(state, x, nudge)


def equilibrium(network, x, nudge=None):
    return relaxed(network, network.initial_state(x), x, nudge)


@eqx.filter_jit
def slope_and_force(network, state, x):
    slope = jax.grad(lambda s: jnp.sum(network.energy(s, x)))(state)
    return slope, network.residual(state, x)


def output(network, x):
    return network.readout(equilibrium(network, x))


@eqx.filter_jit
def gradient(model, x):
    return eqx.filter_grad(lambda m: jnp.sum(jnp.sin(m(x))))(model)


def largest(tree):
    return max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(tree))


# Activations


@pytest.mark.parametrize("activation", SMOOTH, ids=name_of)
def test_potential_is_the_integral_of_the_inverse(activation):
    force = jnp.linspace(-3.0, 3.0, 41)
    state = activation(force)
    slope = jax.vmap(jax.grad(activation.potential))(state)
    np.testing.assert_allclose(slope, force, atol=1e-12)
    np.testing.assert_allclose(
        activation.net_force(state, 0 * force), -force, atol=1e-12
    )


@pytest.mark.parametrize("activation", SMOOTH, ids=name_of)
def test_smooth_units_are_analytic(activation):
    z = jnp.asarray([0.3 + 0.2j, -0.4 + 0.5j])
    state = activation(z)
    np.testing.assert_allclose(
        activation.net_force(state, jnp.zeros_like(z)), -z, atol=1e-12
    )
    step = 1e-6
    for direction in (1, 1j):
        moved = activation.potential(state + step * direction)
        slope = (moved - activation.potential(state)) / (step * direction)
        np.testing.assert_allclose(slope, z, atol=1e-5)


def test_the_sigmoid_is_tangent_to_the_hard_one():
    sigmoid = Sigmoid()
    half = jnp.asarray(0.5)
    assert sigmoid(half) == HardSigmoid()(half) == 0.5
    assert jax.grad(sigmoid)(half) == jax.grad(HardSigmoid())(half) == 1


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=name_of)
def test_saturated_units_are_finite(activation):
    force = jnp.asarray([-1e4, -100.0, 0.0, 100.0, 1e4], jnp.float32)
    state = activation(force)
    results = [state, activation.potential(state), activation.net_force(state, force)]
    results += [jax.grad(lambda s: jnp.sum(activation.potential(s)))(state)]
    assert all(jnp.isfinite(r).all() for r in results)
    assert largest(activation.net_force(state, force)) == 0


# Equilibria that can be written down


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=name_of)
def test_one_unit_responds_to_its_force(activation):
    coupling = DenseCoupling(jnp.asarray([[0.7], [-0.2]]), jnp.asarray([0.1]))
    network = HopfieldNetwork((coupling,), activation=activation, relaxation=SETTLED)
    x = jnp.asarray([[0.4, 0.9], [2.0, 0.1], [-1.0, 0.5]])
    force = x @ jnp.asarray([0.7, -0.2]) + 0.1
    np.testing.assert_allclose(output(network, x)[:, 0], activation(force), atol=1e-13)
    nudged = equilibrium(network, x, jnp.full((3, 1), 0.25))
    np.testing.assert_allclose(nudged[0][:, 0], activation(force - 0.25), atol=1e-13)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_units_off_their_bounds_solve_a_linear_system(asynchronous):
    w, c, j, d = 0.3, 0.2, 0.4, 0.1
    below = DenseCoupling(jnp.asarray([[w]]), jnp.asarray([c]))
    above = DenseCoupling(jnp.asarray([[j]]), jnp.asarray([d]))
    network = HopfieldNetwork(
        (below, above), relaxation=SETTLED, asynchronous=asynchronous
    )
    x = jnp.asarray([[0.5], [1.0]])
    state = jnp.concatenate(equilibrium(network, x), axis=-1)
    force = jnp.concatenate([w * x + c, jnp.full_like(x, d)], axis=-1)
    matrix = jnp.asarray([[1, -j], [-j, 1]])
    np.testing.assert_allclose(state, jnp.linalg.solve(matrix, force.T).T, atol=1e-12)


def test_full_network_off_its_bounds_solves_a_linear_system():
    network = eqx.tree_at(lambda n: n.pairs, full(), 0.1 * jnp.ones(15))
    network = eqx.tree_at(lambda n: n.bias, network, 0.3 * jnp.ones(6))
    network = eqx.tree_at(lambda n: n.input_weight, network, 0.05 * jnp.ones((5, 6)))
    x = inputs(3)
    expected = jnp.linalg.solve(
        jnp.eye(6) - network.coupling, (x @ network.input_weight + 0.3).T
    ).T
    assert 0 < expected.min() and expected.max() < 1
    np.testing.assert_allclose(equilibrium(network, x), expected, atol=1e-12)


# Energy, force, relaxation


@pytest.mark.parametrize("make", [layered, full], ids=["layered", "full"])
@pytest.mark.parametrize("activation", [Sigmoid(), Tanh()], ids=name_of)
def test_force_is_minus_the_slope_of_the_energy(make, activation):
    network, x = make(activation), inputs(3)
    state = jax.tree.map(lambda s: 0.9 * s + 0.02, equilibrium(network, x))
    slope, force = slope_and_force(network, state, x)
    assert largest(jax.tree.map(jnp.add, slope, force)) < 1e-14
    assert largest(force) > 1e-3


@pytest.mark.parametrize("make", [layered, full], ids=["layered", "full"])
def test_bounds_take_up_what_pushes_outwards(make):
    network, x = make(), inputs(3)
    state = jax.tree.map(lambda s: jnp.where(s == 0, 0.3, s), equilibrium(network, x))
    slope, force = slope_and_force(network, state, x)
    left = jax.tree.map(lambda s, g: jnp.clip(s - g, 0, 1) - s, state, slope)
    difference = jax.tree.map(jnp.subtract, left, force)
    assert largest(difference) < 1e-15


@pytest.mark.parametrize(
    "make, activation, settings",
    [
        (layered, HardSigmoid(), {}),
        (layered, Tanh(), {"rate": 0.4}),
        (layered, HardSigmoid(), {"rate": 0.5, "asynchronous": False}),
        (full, HardSigmoid(), {}),
        (full, Sigmoid(), {}),
    ],
)
def test_energy_falls_at_every_step_until_nothing_moves(make, settings, activation):
    network, x = make(activation, FixedSteps(1, 1), **settings), inputs(8)
    start = jax.tree.map(
        lambda s: 0.1 + 0.8 * jax.random.uniform(KEY, s.shape), network.initial_state(x)
    )

    @jax.jit
    def descend(state):
        def step(state, _):
            return network.relax(state, x, None), network.energy(state, x)

        return jax.lax.scan(step, state, None, length=150)

    end, energies = descend(start)
    assert jnp.diff(energies, axis=0).max() < 1e-13
    assert jnp.all(energies[0] - energies[-1] > 1e-3)
    assert largest(network.residual(end, x)) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("make", [layered, full], ids=["layered", "full"])
def test_relaxations_of_either_kind_end_in_the_same_state(make):
    x, nudge = inputs(4), 0.1 * jnp.ones((4, 2))
    fixed, settled = make(relaxation=FixedSteps(150, 150)), make()
    free = equilibrium(settled, x)
    rest = settled.readout(free)
    np.testing.assert_allclose(output(fixed, x), rest, atol=1e-9)
    for network in (fixed, settled):
        moved = network.readout(relaxed(network, free, x, nudge))
        again = network.readout(equilibrium(network, x, nudge))
        np.testing.assert_allclose(moved, again, atol=1e-9)
        assert jnp.all(moved <= rest + 1e-12)


@pytest.mark.parametrize("make", [layered, full], ids=["layered", "full"])
def test_clamped_outputs_stay_and_the_rest_settles(make):
    network, x = make(Sigmoid()), inputs(3)
    held = jnp.full((3, 2), 0.35)
    state = eqx.filter_jit(network.relax_clamped)(network.initial_state(x), x, held)
    np.testing.assert_array_equal(network.readout(state), held)
    force = network.residual(state, x)
    inner = force[:-1] if isinstance(force, tuple) else force[..., :-2]
    assert largest(inner) < 1e-11 < largest(network.readout(force))


@pytest.mark.slow
@pytest.mark.parametrize("make", [layered, full], ids=["layered", "full"])
def test_complex_nudges_move_smooth_units_analytically(make):
    network, x = make(Tanh()), inputs(2)
    assert network.facts.holomorphic and network.facts.conservative
    assert not make(HardSigmoid()).facts.holomorphic

    def outputs(size):
        nudge = jnp.full((2, 2), size)
        return network.readout(equilibrium(network, x, nudge))

    slope, step = jax.jit(jax.jacfwd(outputs))(0.0), 1e-7
    moved = outputs(step * 1j)
    assert moved.dtype == jnp.complex128
    np.testing.assert_allclose(moved.imag / step, slope, atol=1e-10)
    state = equilibrium(network, x, jnp.full((2, 2), 0.1 + 0.1j))
    assert network.energy(state, x).dtype == jnp.complex128
    pushed = network.readout(network.residual(state, x))
    np.testing.assert_allclose(pushed, 0.1 + 0.1j, atol=1e-11)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(layered, id="layered"),
        pytest.param(full, id="full", marks=pytest.mark.slow),
    ],
)
def test_single_precision_in_and_out(make):
    network = jax.tree.map(
        lambda a: a.astype(jnp.float32) if eqx.is_inexact_array(a) else a,
        make(relaxation=FixedSteps(5, 5)),
    )
    x = inputs(2, 3).astype(jnp.float32)
    state = equilibrium(network, x, jnp.zeros((2, 3, 2), jnp.float32))
    assert network.energy(state, x).shape == (2, 3)
    leaves = [*jax.tree.leaves(state), network.energy(state, x), network(x)]
    assert all(leaf.dtype == jnp.float32 for leaf in leaves)
    np.testing.assert_allclose(jax.vmap(network)(x), network(x), atol=1e-6)


@pytest.mark.slow
def test_differentiating_through_the_relaxation_gives_the_implicit_gradient():
    x = inputs(3)
    network = layered(Tanh(), FixedSteps(200, 200))
    rule = pnn.estimators.ImplicitDifferentiation()
    assert pnn.hold_to_claim(network, rule, x, key=KEY).held


@pytest.mark.slow
def test_centered_contrast_is_exact_where_no_unit_is_at_its_bound():
    network = eqx.tree_at(
        lambda n: [c.bias for c in n.couplings],
        HopfieldNetwork((4, 3, 2), key=KEY, relaxation=SETTLED),
        [jnp.full(3, 0.3), jnp.full(2, 0.4)],
    )
    network = eqx.tree_at(
        lambda n: [c.weight for c in n.couplings],
        network,
        [0.2 * c.weight for c in network.couplings],
    )
    x = inputs(3, size=4)

    exact = gradient(network, x)
    for beta in (0.01, 0.1):
        rule = pnn.estimators.EquilibriumPropagation(beta)
        measured = gradient(pnn.Physical(network, rule), x).layer
        assert pnn.relative_error(measured, exact) < 1e-10


def test_the_input_is_coupled_in_once_for_all_phases():
    network = HopfieldNetwork((50, 4, 2), key=KEY, relaxation=FixedSteps(5, 5))
    model = pnn.Physical(network, pnn.estimators.EquilibriumPropagation(0.1))
    arrays, rest = eqx.partition(model, eqx.is_inexact_array)

    def loss(arrays, x):
        return jnp.sum(jax.vmap(eqx.combine(arrays, rest))(x) ** 2)

    compiled = jax.jit(jax.grad(loss)).lower(arrays, inputs(7, size=50)).compile()
    products = [line for line in compiled.as_text().splitlines() if " dot(" in line]
    # Forwards, and the gradient of the weight: neither once a phase nor once a step.
    assert sum("50," in line for line in products) <= 2


# Without an energy


def test_feedback_by_the_transpose_is_a_hopfield_network():
    network = AsymmetricNetwork(
        (5, 4, 3, 2), key=KEY, asymmetry=0.0, relaxation=SETTLED, activation=Tanh()
    )
    couplings = [DenseCoupling(w, b) for w, b in zip(network.forward, network.bias)]
    twin = HopfieldNetwork(couplings, relaxation=SETTLED, activation=Tanh())
    x, nudge = inputs(3), jnp.full((3, 2), 0.2)
    np.testing.assert_allclose(output(network, x), output(twin, x), atol=1e-12)
    state = equilibrium(network, x, nudge)
    np.testing.assert_allclose(state[-1], equilibrium(twin, x, nudge)[-1], atol=1e-12)
    assert not network.facts.conservative and twin.facts.conservative


def test_asymmetric_units_settle_where_no_force_is_left():
    network = AsymmetricNetwork((5, 4, 2), key=KEY, relaxation=SETTLED)
    x = inputs(3)
    hidden, output = equilibrium(network, x)
    force = x @ network.forward[0] + output @ network.feedback[0]
    np.testing.assert_allclose(hidden, jnp.clip(force, 0, 1), atol=1e-12)
    assert largest(network.residual((hidden, output), x)) < 1e-12
    assert not jnp.allclose(network.feedback[0], network.forward[1].T)


def test_vector_field_gradient_is_closer_the_more_symmetric_the_network():
    x, cosines = inputs(4), []
    for asymmetry in (0.0, 0.3, 1.0):
        network = AsymmetricNetwork(
            (5, 6, 2),
            key=KEY,
            asymmetry=asymmetry,
            activation=Tanh(),
            relaxation=SETTLED,
        )

        with pytest.warns(pnn.GradientBiasWarning, match="no potential"):
            model = pnn.Physical(network, pnn.estimators.VectorFieldEP(1e-3))
        pair = gradient(model, x).layer, gradient(network, x)
        cosines.append(pnn.cosine_similarity(*(g.forward for g in pair)))
    assert cosines[0] > 1 - 1e-6
    assert cosines[0] > cosines[1] > cosines[2]


# What is refused


def test_couplings_that_do_not_fit_are_named():
    one = DenseCoupling.random(3, 4, key=KEY)
    two = DenseCoupling.random(5, 2, key=KEY)
    with pytest.raises(ValueError, match=r"Coupling 0 .*\(4,\).*coupling 1.*\(5,\)"):
        HopfieldNetwork((one, two))
    with pytest.raises(ValueError, match=r"shape \(2, 2\) has 4 units.*couples 3"):
        DenseCoupling(one.weight, one.bias, (2, 2))
    for layers, key in [((3,), KEY), ((3, 2), None), ((one,), KEY), ((), None)]:
        with pytest.raises(ValueError, match="two sizes and a `key`"):
            HopfieldNetwork(layers, key=key)


@pytest.mark.parametrize("rate", [0.0, -1.0, 1.5, float("nan")])
def test_a_rate_outside_its_range_is_refused(rate):
    makers = [
        lambda: layered(rate=rate),
        lambda: full(rate=rate),
        lambda: AsymmetricNetwork((2, 1), key=KEY, rate=rate),
    ]
    for make in makers:
        with pytest.raises(ValueError, match="`rate`"):
            make()


def test_an_asymmetric_coupling_is_named():
    weight, bias = jnp.ones((2, 3)), jnp.zeros(3)
    matrix = jnp.asarray([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.5, 0.0]])
    with pytest.raises(ValueError, match=r"coupling\[1, 2\] = 3.0 and coupling\[2, 1"):
        FullyConnectedHopfield(matrix, weight, bias, 1)
    matrix = jnp.asarray([[0.0, 1.0, 2.0], [1.0, 0.5, 3.0], [2.0, 3.0, 0.0]])
    with pytest.raises(ValueError, match=r"coupling\[1, 1\] = 0.5"):
        FullyConnectedHopfield(matrix, weight, bias, 1)
    with pytest.raises(eqx.EquinoxRuntimeError, match="must be symmetric"):
        eqx.filter_jit(lambda m: FullyConnectedHopfield(m, weight, bias, 1))(matrix)
    with pytest.raises(ValueError, match="`outputs` must be 1 to 3"):
        FullyConnectedHopfield(jnp.zeros((3, 3)), weight, bias, 4)
    with pytest.raises(ValueError, match="`asymmetry`"):
        AsymmetricNetwork((2, 1), key=KEY, asymmetry=2.0)
    with pytest.raises(ValueError, match="An input and an output"):
        AsymmetricNetwork((2,), key=KEY)


def test_a_relaxation_that_does_not_settle_says_so():
    # Two units that both follow the other one: all at once, they swap forever.
    one = jnp.ones((1, 1))
    couplings = [DenseCoupling(0 * one, jnp.ones(1)), DenseCoupling(-9 * one, one[0])]
    cycle = HopfieldNetwork(
        couplings, relaxation=UntilSettled(max_steps=100), asynchronous=False
    )
    with pytest.raises(eqx.EquinoxRuntimeError, match="did not settle within 100"):
        cycle(jnp.zeros((1, 1)))
    turns = HopfieldNetwork(couplings, relaxation=UntilSettled(max_steps=100))
    assert jnp.isfinite(turns(jnp.zeros((1, 1)))).all()


# The picture


def test_energy_descent_is_drawn():
    network, x = layered(Sigmoid(), FixedSteps(3, 3)), inputs(6)
    figure = pnn.plots.energy_descent(network, x, 0.2 * jnp.ones((6, 2)), steps=12)
    above, below = figure.axes
    assert above.get_yscale() == "log" and len(above.lines) == 3
    assert all((np.diff(line.get_ydata()) <= 0).all() for line in above.lines[:2])
    assert len(below.lines) == 5
    figure.canvas.draw()
    with pytest.raises(ValueError, match="at least 1"):
        pnn.plots.energy_descent(network, x, steps=0)
