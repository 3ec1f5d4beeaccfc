"""Feedback alignment: backpropagation's limit, alignment, physics in the feedback."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Matrix, Tanh, field

import pnnjax as pnn
from pnnjax.estimators import (
    CoherentReceiver,
    DirectFeedbackAlignment,
    FeedbackAlignment,
    FixedMagnitudes,
    GaussianReceiver,
    GivenFeedback,
    InSituBackprop,
    PhysicalFeedback,
    RandomFeedback,
    RedrawnFeedback,
    RedrawnMagnitudes,
    SharedFeedback,
    SignFeedback,
    TernaryError,
    UniformMagnitudes,
)
from pnnjax.estimators._feedback import Link

TANH = eqx.nn.Lambda(jnp.tanh)


def tanh_slope(a):
    return 1 - jnp.tanh(a) ** 2


def linears(sizes, key):
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        eqx.nn.Linear(*ends, key=own)
        for *ends, own in zip(sizes, sizes[1:], keys, strict=False)
    ]


def tanh_stack(sizes, key):
    first, *rest = linears(sizes, key)
    return eqx.nn.Sequential([first, *(step for one in rest for step in (TANH, one))])


def quadratic(y):
    return jnp.sum(jnp.abs(y - 0.3) ** 2)


def cotangents(stack, rules, x, key=None):
    """Of the parameters and of x, for each rule and for backpropagation, in one jit."""

    @eqx.filter_jit
    def run(stack, rules, x):
        def one(rule):
            loss = lambda m, x: quadratic(m(x, key=key))  # noqa: E731
            return eqx.filter_grad(lambda both: loss(*both))(
                (pnn.Physical(stack, rule), x)
            )

        return [one(rule) for rule in (*rules, pnn.estimators.Autodiff())]

    *found, exact = run(stack, rules, x)
    leaves = [
        (jax.tree.leaves(eqx.filter(m.layer, eqx.is_inexact_array)), x_bar)
        for m, x_bar in (*found, exact)
    ]
    return leaves[:-1], leaves[-1]


def test_with_the_weights_as_feedback_it_is_backpropagation(getkey):
    x = jax.random.normal(getkey(), (2, 3, 4))
    stack = tanh_stack((4, 6, 5, 3), getkey())
    weights = [layer.weight.T for layer in stack.layers[::2]]
    turned = GivenFeedback([-w for w in weights])
    rules = [
        FeedbackAlignment(GivenFeedback(weights)),
        FeedbackAlignment(turned),
    ]
    (given, opposite), exact = cotangents(stack, rules, x)
    assert pnn.relative_error(given, exact) < 1e-12
    # Each turn of the sign reaches one block further down: +, -, + from the top.
    bars, flipped = exact[0], opposite[0]
    for index, sign in zip((0, 2, 4), (1, -1, 1), strict=True):
        assert pnn.relative_error(flipped[index], sign * bars[index]) < 1e-12


def test_direct_feedback_is_exact_through_products_of_linear_layers(getkey):
    stack = eqx.nn.Sequential(linears((4, 6, 5, 3), getkey()))
    one, two, three = (layer.weight.T for layer in stack.layers)
    products = [one @ two @ three, two @ three, three]
    rules = [
        DirectFeedbackAlignment(GivenFeedback(matrices))
        for matrices in (products, [None, None, three])
    ]
    (whole, some), exact = cotangents(stack, rules, jnp.ones((5, 4)))
    assert pnn.relative_error(whole, exact) < 1e-12
    # Without feedback, nothing.
    assert pnn.relative_error(some[0][2:], exact[0][2:]) < 1e-12
    assert not jnp.any(some[0][0]) and not jnp.any(some[1])


def bend(z):
    return z * jax.lax.complex(jnp.abs(z), jnp.zeros(z.shape))


@pytest.mark.slow
def test_a_mesh_keeps_its_own_rule_within_a_stack(getkey):
    mesh, two = pnn.optics.MZIMesh(4, 2, key=getkey()), Matrix(field(getkey(), 3, 4))
    chip = pnn.Physical(mesh, InSituBackprop())
    above = [eqx.nn.Sequential([eqx.nn.Lambda(bend), two]), pnn.optics.Intensity()]
    stack, x = eqx.nn.Sequential([chip, *above]), field(getkey(), 5, 4)
    matrices = [jax.vmap(mesh)(jnp.eye(4, dtype=complex)), two.weight.T]
    rule = FeedbackAlignment(GivenFeedback(matrices))
    found, exact = cotangents(stack, [rule], x)
    assert pnn.relative_error(found[0], exact) < 1e-10
    # Three fields for the mesh, the first of which is the stack's own run.
    assert rule.cost(stack, x[0]).runs == 1 + 2


@pytest.mark.slow
def test_complex_signals_and_the_rule_of_a_layer_within(getkey):
    """Two matrices with a nonlinearity between, then detectors."""
    one, two = Matrix(field(getkey(), 4, 4)), Matrix(field(getkey(), 3, 4))
    turned = pnn.Physical(one, Turned())
    above = [eqx.nn.Sequential([eqx.nn.Lambda(bend), two]), pnn.optics.Intensity()]
    stack, x = eqx.nn.Sequential([turned, *above]), field(getkey(), 5, 4)
    rules = [
        FeedbackAlignment(GivenFeedback([one.weight.T, two.weight.T])),
        DirectFeedbackAlignment(RandomFeedback(key=getkey())),
    ]
    (given, direct), _ = cotangents(stack, rules, x)
    plain = eqx.nn.Sequential([one, *above])
    _, exact = cotangents(plain, [], x)
    first, last = exact[0]
    assert pnn.relative_error(given, ([-first, last], exact[1])) < 1e-12
    assert pnn.relative_error(direct[0][-1], last) < 1e-12
    assert jnp.iscomplexobj(direct[1]) and jnp.max(jnp.abs(direct[1])) > 0
    phases = jnp.sign(two.weight.T) / 2
    assert jnp.allclose(matrix(SignFeedback(), 1, 4, 3, two, dtype=complex), phases)


class Turned(pnn.AbstractEstimator):
    """The exact rule with the wrong sign."""

    claim = pnn.Exact()

    def forward(self, layer, x, *, key):
        return layer(x), None

    def backward(self, layer, x, residuals, y_bar, *, key):
        rule = pnn.estimators.Autodiff()
        return jax.tree.map(jnp.negative, rule.backward(layer, x, None, y_bar, key=key))

    def cost(self, layer, x):
        return pnn.PhysicalCost(runs=1)


def test_augmented_is_direct_where_its_slope_is_the_derivative(getkey):
    stack, key = tanh_stack((4, 6, 3), getkey()), getkey()
    feedback = RandomFeedback(key=key)
    other = lambda a: jnp.cos(a)  # noqa: E731
    rules = [
        DirectFeedbackAlignment(feedback),
        DirectFeedbackAlignment(feedback, tanh_slope),
        DirectFeedbackAlignment(feedback, other),
    ]
    x = jax.random.normal(getkey(), (3, 4))
    (direct, same, augmented), _ = cotangents(stack, rules, x)
    assert pnn.relative_error(same, direct) < 1e-12
    # delta_1 = (B e) g(a), and the gradient its product with x, summed.
    a = jax.vmap(stack.layers[0])(x)
    y = jax.vmap(stack)(x)
    bias = jnp.sum(2 * (y - 0.3) @ matrix(feedback, 1, 6, 3).T * jnp.cos(a), 0)
    assert pnn.relative_error(augmented[0][1], bias) < 1e-12


def matrix(feedback, number, receivers, senders, layer=None, key=None, dtype=float):
    largest = receivers, 2 * senders
    link = Link(number, receivers, senders, dtype, largest, layer, dtype)
    return feedback.matrix(link, key=key)


@pytest.mark.slow
def test_random_matrices_keep_an_errors_length_on_average(getkey):
    key, link = getkey(), (1, 2000, 30)
    weights = eqx.nn.Linear(2000, 30, key=key)
    feedbacks = [
        RandomFeedback(key=key),
        SharedFeedback(key=key),
        RedrawnFeedback(),
        SignFeedback(UniformMagnitudes()),
        SignFeedback(FixedMagnitudes(key=key)),
        SignFeedback(RedrawnMagnitudes()),
    ]
    draw = eqx.filter_jit(
        lambda key: [matrix(feedback, *link, weights, key) for feedback in feedbacks]
    )
    drawn, again = draw(key), draw(jax.random.key(1))
    for feedback, one, two in zip(feedbacks, drawn, again, strict=True):
        # 60,000 elements: the standard error of their mean square is 0.6 %.
        assert 2000 * np.mean(np.square(one)) == pytest.approx(1, abs=0.03)
        anew = isinstance(feedback, RedrawnFeedback) or isinstance(
            getattr(feedback, "magnitudes", None), RedrawnMagnitudes
        )
        assert np.array_equal(one, two) is not anew
        if isinstance(feedback, SignFeedback):
            assert np.array_equal(np.sign(one), np.sign(weights.weight.T))
    halved = matrix(RandomFeedback(key=key, scale=0.5), *link)
    assert np.allclose(2 * halved, drawn[0])


def test_a_shared_matrix_is_cut_to_the_corner_that_fits(getkey):
    shared, largest = SharedFeedback(key=getkey()), (5, 4)
    one, two = (
        shared.matrix(Link(n, *size, float, largest, None, float), key=None)
        for n, size in enumerate([(5, 4), (3, 2)])
    )
    assert np.allclose(np.sqrt(3) * two, np.sqrt(5) * one[:3, :2])


def digits():
    data = pnn.data.digits()
    flat = lambda x: jnp.asarray(x.reshape(len(x), -1), float)  # noqa: E731
    scale = float(data.train_x.max())
    return (
        flat(data.train_x) / scale,
        jnp.asarray(data.train_y),
        flat(data.test_x) / scale,
        jnp.asarray(data.test_y),
    )


@eqx.filter_jit
def descended(model, x, y, key, steps, rate):
    """Plain gradient descent, 32 random examples a step."""
    trained, rest = eqx.partition(model, pnn.is_trainable(model))

    def step(trained, key):
        rows = jax.random.randint(key, (32,), 0, len(x))

        def loss(trained):
            scores = eqx.combine(trained, rest)(x[rows], key=key)
            return pnn.objectives.cross_entropy(scores, y[rows])

        slope = jax.grad(loss)(trained)
        return jax.tree.map(lambda p, g: p - rate * g, trained, slope), None

    trained, _ = jax.lax.scan(step, trained, jax.random.split(key, steps))
    return eqx.combine(trained, rest)


def test_fixed_feedback_aligns_and_redrawn_feedback_stays_at_chance(getkey):
    """Through three narrow hidden layers, which random features do not pass."""
    x, y, test_x, test_y = digits()
    stack, key = tanh_stack((64, 12, 12, 12, 10), jax.random.key(0)), getkey()
    fixed, redrawn = (
        descended(
            pnn.Physical(stack, DirectFeedbackAlignment(feedback)), x, y, key, 250, 0.3
        )
        for feedback in (RandomFeedback(key=jax.random.key(9)), RedrawnFeedback())
    )
    accuracy = lambda s: pnn.objectives.accuracy(jax.vmap(s)(test_x), test_y)  # noqa: E731
    assert accuracy(fixed.layer) > 0.7
    assert accuracy(redrawn.layer) < 0.2

    @eqx.filter_jit
    def slopes(models):
        loss = lambda m: pnn.objectives.cross_entropy(m(x), y)  # noqa: E731
        return [eqx.filter_grad(loss)(m).layer.layers[::2] for m in models]

    exact = pnn.Physical(fixed.layer, pnn.estimators.Autodiff())
    pairs = zip(*slopes([fixed, exact]), strict=True)
    cosines = [pnn.cosine_similarity(*pair) for pair in pairs]
    assert cosines[-1] == pytest.approx(1, abs=1e-12)
    assert min(cosines) > 0.1, cosines


def test_ternary_errors(getkey):
    error = jnp.asarray([[0.5, -0.06, 0.0], [-0.3, 0.04, -0.5]])
    kept = jnp.asarray([[1.0, -1.0, 0.0], [-1.0, 0.0, -1.0]])
    assert jnp.array_equal(TernaryError(0.1)(error), 0.5 * kept)
    assert jnp.array_equal(TernaryError(0.1)(error / 8), 0.0625 * kept)
    assert not jnp.any(TernaryError()(jnp.zeros((2, 3))))
    with pytest.raises(ValueError, match="share of the largest error"):
        TernaryError(1.0)


@pytest.mark.slow
def test_a_scattering_medium_projects_as_its_matrix_does(getkey):
    t = pnn.optics.gaussian_medium(13, 3, 1.0, key=getkey())
    stack, x = tanh_stack((4, 5, 3), getkey()), jax.random.normal(getkey(), (5, 4))
    medium = pnn.optics.ScatteringMedium(t)
    loud = CoherentReceiver(power=1e-6, bandwidth=1e12)
    ternary = TernaryError(0.3)
    parts = GivenFeedback([t[:4].real, t[4:9].real])
    rules = [
        DirectFeedbackAlignment(PhysicalFeedback(medium, loud), encoder=ternary),
        DirectFeedbackAlignment(parts, encoder=ternary),
    ]
    (seen, digital), _ = cotangents(stack, rules, x)
    assert pnn.relative_error(seen, digital) < 1e-12
    (noisy, quiet), _ = cotangents(stack, rules, x, getkey())
    assert pnn.relative_error(quiet, digital) < 1e-12
    assert pnn.relative_error(noisy, digital) > 1e-3
    assert pnn.relative_error(noisy[0][2:], digital[0][2:]) < 1e-12
    cost = rules[0].cost(stack, x[0])
    assert cost.runs == 2
    # Inputs and outputs of both layers, the output, and 13 complex fields.
    assert cost.measurements == (4 + 5) + (5 + 3) + 3 + 26
    assert cost.flops == 2 * (4 * 5 + 5 + 5 * 3 + 3)
    small = PhysicalFeedback(pnn.optics.ScatteringMedium(t[:6]))
    with pytest.raises(ValueError, match="6 outputs.* need 9"):
        cotangents(stack, [DirectFeedbackAlignment(small)], x)


@pytest.mark.slow
def test_a_noisy_ring_weight_bank_projects_both_signs(getkey):
    bank = pnn.optics.RingWeightBank(
        jax.random.uniform(getkey(), (9, 3), maxval=50e9),
        spacing=100e9,
        free_spectral_range=1e12,
        finesse=30.0,
    )
    error, key = jax.random.normal(getkey(), (500, 3)), getkey()
    feedback = PhysicalFeedback(bank, GaussianReceiver(0.1), 9.0, rectified=True)
    weights, error_ = np.asarray(jax.jit(lambda: bank.weights())()).T, np.asarray(error)
    exact, seen = eqx.filter_jit(
        lambda: [feedback.send(error, 9, key=k) for k in (None, key)]
    )()
    assert np.allclose(exact, error_ @ weights, rtol=1e-12)
    # Two readings, each with a tenth of their root mean square.
    peak = np.max(np.abs(error_), -1, keepdims=True)
    parts = [np.maximum(sign * error_ / peak, 0) @ weights for sign in (1, -1)]
    power = sum(np.mean(part**2) for part in parts)
    noise = np.std((np.asarray(seen) - error_ @ weights) / peak)
    assert noise == pytest.approx(0.1 * np.sqrt(power), rel=0.05)
    with pytest.raises(ValueError, match="rectified"):
        feedback.send(field(getkey(), 2, 3), 9, key=None)


def black_box(layer):
    device = pnn.devices.CallbackDevice(
        lambda parameters, x: np.tanh(x),
        parameter_range=(-10, 10),
        input_range=(-100, 100),
        output_range=(-1, 1),
    )
    return pnn.devices.DeviceLayer(layer, device)


def test_a_device_in_the_stack_is_run_once_and_never_differentiated(getkey):
    first, second, third = linears((4, 6, 5, 3), getkey())
    one, two = black_box(TANH), black_box(TANH)
    stack = eqx.nn.Sequential([first, one, second, two, third])
    x, runs = jax.random.normal(getkey(), (5, 4)), one.device.runs
    feedback = RandomFeedback(key=getkey())
    rules = [kind(feedback, tanh_slope) for kind in TWO]
    bare = [kind(feedback) for kind in TWO]

    @eqx.filter_jit
    def slopes(stack, rules):
        loss = lambda m: quadratic(jax.vmap(m)(x))  # noqa: E731
        return [
            jax.tree.leaves(eqx.filter_grad(loss)(pnn.Physical(stack, rule)).layer)
            for rule in rules
        ]

    plain = eqx.nn.Sequential([first, TANH, second, TANH, third])
    found, expected = slopes(stack, rules), slopes(plain, bare)
    assert pnn.relative_error(found, expected) < 1e-12
    jax.effects_barrier()
    assert one.device.runs - runs == two.device.runs == len(rules)
    with pytest.raises(TypeError, match="Give a `slope`"):
        slopes(stack, bare[:1])
    trained = eqx.nn.Sequential([black_box(Tanh(jnp.ones((4, 4)))), first])
    with pytest.raises(TypeError, match="wrap it in `Frozen`"):
        slopes(trained, rules[1:])


TWO = (FeedbackAlignment, DirectFeedbackAlignment)


def test_what_can_not_work_is_refused(getkey):
    stack, x = tanh_stack((4, 5, 3), getkey()), jnp.ones((2, 4))

    def run(rule, stack=stack):
        return eqx.filter_grad(lambda m: quadratic(m(x)))(pnn.Physical(stack, rule))

    with pytest.raises(TypeError, match="Sequential"):
        run(FeedbackAlignment(RedrawnFeedback()), stack.layers[0])
    with pytest.raises(TypeError, match="with `FeedbackAlignment`"):
        DirectFeedbackAlignment(SignFeedback())
    with pytest.raises(ValueError, match="with a key"):
        run(FeedbackAlignment(RedrawnFeedback()))
    with pytest.raises(ValueError, match=r"shape \(5, 3\), not \(3, 5\)"):
        run(FeedbackAlignment(GivenFeedback([None, jnp.ones((3, 5))])))
    with pytest.raises(ValueError, match="1 feedback matrices"):
        run(DirectFeedbackAlignment(GivenFeedback([None])))
    with pytest.raises(ValueError, match="No layer of this stack"):
        run(FeedbackAlignment(GivenFeedback([])), eqx.nn.Sequential([TANH]))
    curved = eqx.nn.Sequential([Tanh(jnp.ones((3, 4)))])
    with pytest.raises(TypeError, match="not known to be linear"):
        run(FeedbackAlignment(SignFeedback()), curved)
    narrow = eqx.nn.Sequential([*stack.layers, eqx.nn.Lambda(lambda y: y[:2])])
    with pytest.raises(ValueError, match="end the stack with a trained layer"):
        run(FeedbackAlignment(GivenFeedback([None, None]), tanh_slope), narrow)


def test_costs_of_measured_and_digital_feedback(getkey):
    stack, x = tanh_stack((4, 5, 3), getkey()), jnp.ones(4)
    measured = 4 + 5 + 5 + 3 + 3
    outer = 2 * (4 * 5 + 5 + 5 * 3 + 3)
    digital = FeedbackAlignment(RandomFeedback(key=getkey())).cost(stack, x)
    assert digital[:3] == (1, 0, measured)
    assert digital.flops == outer + 2 * (4 * 5 + 5 * 3)
    direct = DirectFeedbackAlignment(RandomFeedback(key=getkey())).cost(stack, x)
    assert direct == (1, 0, measured, outer + 2 * 3 * (4 + 5))
    # Each unit vector and nothing, sent through each layer.
    signs = FeedbackAlignment(SignFeedback()).cost(stack, x)
    assert signs.runs == 1 + 5 + 6
    assert signs.measurements == measured + 5 * 5 + 6 * 3


def test_a_faulty_mesh_in_a_stack_costs_what_a_good_one_does(getkey):
    mesh, taps = pnn.optics.MZIMesh(4, key=getkey()), pnn.estimators.InSituBackprop()
    faulty = pnn.imperfections.Mismatch(sigma=0.1)(mesh, key=getkey())
    rule, x = (
        DirectFeedbackAlignment(RandomFeedback(key=getkey())),
        jnp.ones(4, complex),
    )
    good, bad = (
        rule.cost(eqx.nn.Sequential([pnn.Physical(own, taps)]), x)
        for own in (mesh, faulty)
    )
    assert bad == good
    assert good.runs == taps.cost(mesh, x).runs
