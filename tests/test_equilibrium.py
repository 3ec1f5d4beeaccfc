"""Rules that compare settled states, on a system whose equilibrium is known."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.integrators import FixedSteps, UntilSettled


class Springs(pnn.AbstractClampableLayer):
    """Stiff springs in a row of quartic wells, pulled by the input.

    E = s K s / 2 + q sum(s^4) / 4 - s (W x), K positive definite; q = 0 is linear.
    """

    pull: jax.Array
    bonds: jax.Array
    outputs: int = eqx.field(static=True)
    quartic: float = 0.3
    relaxation: pnn.integrators.AbstractRelaxation = UntilSettled(1e-14, 1e-14)
    facts = pnn.Facts(holomorphic=True, conservative=True, smooth=True)

    def __call__(self, x, *, key=None):
        return self.readout(self.relax(self.initial_state(x, key=key), x, None))

    def stiffness(self):
        return (
            jnp.eye(len(self.bonds), dtype=self.bonds.dtype) + self.bonds @ self.bonds.T
        )

    def energy(self, state, x):
        same = lambda a: a.astype(state.dtype)  # noqa: E731
        square = jnp.einsum("...i,ij,...j->...", state, same(self.stiffness()), state)
        force = jnp.einsum("ij,...j->...i", self.pull, x)
        well = self.quartic * jnp.sum(state**4, -1) / 4
        return square / 2 + well - jnp.sum(state * same(force), -1)

    def initial_state(self, x, *, key=None):
        return jnp.zeros((*x.shape[:-1], len(self.bonds)), x.dtype)

    def residual(self, state, x):
        same = lambda a: a.astype(state.dtype)  # noqa: E731
        force = same(jnp.einsum("ij,...j->...i", self.pull, x))
        pulled = jnp.einsum("ij,...j->...i", same(self.stiffness()), state)
        return force - pulled - self.quartic * state**3

    def relax(self, state, x, nudge):
        extra = jnp.zeros((*x.shape[:-1], len(self.bonds)), state.dtype)
        if nudge is not None:
            extra = extra.at[..., : self.outputs].set(nudge.astype(state.dtype))
        step = lambda s: s + 0.2 * (self.residual(s, x) - extra)  # noqa: E731
        return self.relaxation(step, state, nudged=nudge is not None)

    def relax_clamped(self, state, x, output):
        state = state.at[..., : self.outputs].set(output)

        def step(s):
            return s.at[..., self.outputs :].add(
                0.2 * self.residual(s, x)[..., self.outputs :]
            )

        return self.relaxation(step, state, nudged=True)

    def readout(self, state):
        return state[..., : self.outputs]


def springs(key, outputs=2, **settings):
    one, two, three = jax.random.split(key, 3)
    layer = Springs(
        jax.random.normal(one, (5, 3)),
        0.6 * jax.random.normal(two, (5, 5)),
        outputs,
        **settings,
    )
    return layer, jax.random.normal(three, (4, 3))


RULES = {
    "one-sided": pnn.estimators.EquilibriumPropagation(0.2, centered=False),
    "centered": pnn.estimators.EquilibriumPropagation(0.2),
    "random-sign": pnn.estimators.RandomSignEP(0.2),
    "holomorphic-2": pnn.estimators.HolomorphicEP(0.5, points=2),
    "holomorphic-4": pnn.estimators.HolomorphicEP(0.5, points=4),
    "holomorphic-continuous": pnn.estimators.HolomorphicEP(0.5, 3, continuous=True),
    "frequency": pnn.estimators.FrequencyPropagation(0.5),
    "vector-field": pnn.estimators.VectorFieldEP(0.2),
    "implicit": pnn.estimators.ImplicitDifferentiation(),
    "implicit-iterative": pnn.estimators.ImplicitDifferentiation(0, 1e-12),
    "coupled": pnn.estimators.CoupledLearning(1e-3),
    "contrastive-hebbian": pnn.estimators.ContrastiveHebbian(),
}


@pytest.mark.slow
# The other rules are held to their claims on every layer of the registry.
@pytest.mark.parametrize(
    "name", ["holomorphic-2", "holomorphic-continuous", "implicit-iterative"]
)
def test_claim_holds_on_springs(name, getkey):
    layer, x = springs(getkey())
    report = pnn.hold_to_claim(layer, RULES[name], x, key=getkey())
    assert report.held, report


def error(layer, x, rule, key):
    report = pnn.hold_to_claim(layer, Exactly(rule), x, key=key)
    return report.measured


class Exactly(pnn.AbstractEstimator):
    """Another rule, with its relative error as the measured figure."""

    rule: pnn.AbstractEstimator
    claim = pnn.Exact()

    def forward(self, layer, x, *, key):
        return self.rule.forward(layer, x, key=key)

    def backward(self, layer, x, residuals, y_bar, *, key):
        return self.rule.backward(layer, x, residuals, y_bar, key=key)

    def cost(self, layer, x):
        return self.rule.cost(layer, x)


def test_holomorphic_error_falls_geometrically_with_the_points(getkey):
    (layer, x), key = springs(getkey()), getkey()
    points = [2, 3, 4, 6, 8]
    errors = [
        error(layer, x, pnn.estimators.HolomorphicEP(0.5, n), key) for n in points
    ]
    rates = np.diff(np.log(errors)) / np.diff(points)
    assert np.all(rates < np.log(0.5))
    assert errors[-1] < 1e-6


def test_every_rule_is_exact_at_any_nudge_where_the_response_is_linear(getkey):
    layer, x = springs(getkey(), quartic=0.0)
    for rule in (
        pnn.estimators.EquilibriumPropagation(3.0),
        pnn.estimators.HolomorphicEP(3.0, 3),
        pnn.estimators.FrequencyPropagation(3.0),
        pnn.estimators.VectorFieldEP(3.0),
    ):
        assert error(layer, x, rule, getkey()) < 1e-10


def test_an_order_is_held_where_there_is_no_error_at_all(getkey):
    layer, x = springs(getkey(), quartic=0.0)
    rule = pnn.estimators.EquilibriumPropagation(3.0)
    report = pnn.hold_to_claim(layer, rule, x, key=getkey())
    assert report.held and report.measured == np.inf


def cosine(layer, x, y_bar, rule):
    physical = gradients(pnn.Physical(layer, rule), x, y_bar)[:-1]  # not that of eta
    return pnn.cosine_similarity(physical, gradients(layer, x, y_bar))


@eqx.filter_jit
def gradients(model, x, y_bar):
    loss = lambda m: jnp.sum(y_bar * m(x))  # noqa: E731
    return jax.tree.leaves(eqx.filter_grad(loss)(model))


def test_coupled_learning_is_colinear_for_one_output_and_not_for_several(getkey):
    rule = pnn.estimators.CoupledLearning(1e-5)
    layer, x = springs(getkey(), outputs=1)
    y_bar = jax.random.normal(getkey(), (1, 1))
    assert 1 - cosine(layer, x[:1], y_bar, rule) < 1e-8
    several = []
    for _ in range(10):
        layer, x = springs(getkey(), outputs=4)
        y_bar = jax.random.normal(getkey(), (1, 4))
        several.append(cosine(layer, x[:1], y_bar, rule))
    assert 0.5 < np.median(several) < 0.99


def test_gradient_scales_exactly_with_the_loss_in_single_precision(getkey):
    layer, x = springs(getkey(), relaxation=FixedSteps(400, 400))
    layer, x = jax.tree.map(
        lambda a: a.astype(jnp.float32) if eqx.is_array(a) else a, (layer, x)
    )
    y_bar = jax.random.normal(getkey(), (4, 2), jnp.float32)
    model = pnn.Physical(layer, pnn.estimators.EquilibriumPropagation(0.1))

    @eqx.filter_jit
    def gradient(model, scale):
        return eqx.filter_grad(lambda m: jnp.sum(scale * y_bar * m(x)))(model)

    large, small = (gradient(model, jnp.float32(s)) for s in (1.0, 2.0**-12))
    for a, b in zip(*map(jax.tree.leaves, (large.layer, small.layer)), strict=True):
        np.testing.assert_allclose(a, b * 2**12, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_zero_cotangent_makes_a_zero_gradient(getkey):
    layer, x = springs(getkey())
    model = pnn.Physical(layer, pnn.estimators.EquilibriumPropagation(0.1))
    bars = eqx.filter_grad(lambda m: 0.0 * jnp.sum(m(x)))(model)
    assert all(jnp.all(leaf == 0) for leaf in jax.tree.leaves(bars))


@pytest.mark.slow
def test_random_signs_average_to_the_centered_gradient(getkey):
    layer, x = springs(getkey(), relaxation=FixedSteps(150, 150))
    one_sided = pnn.estimators.RandomSignEP(0.5)
    model = pnn.Physical(layer, one_sided)

    @jax.jit
    def draw(key):
        return eqx.filter_grad(lambda m: jnp.sum(m(x, key=key) ** 2))(model).layer.pull

    keys = jax.random.split(getkey(), 200)
    draws = jax.lax.map(draw, keys)
    centered = eqx.filter_grad(lambda m: jnp.sum(m(x) ** 2))(
        pnn.Physical(layer, pnn.estimators.EquilibriumPropagation(0.5))
    ).layer.pull
    spread = draws.std(0) / len(keys) ** 0.5
    assert jnp.max(spread) > 0
    assert jnp.all(jnp.abs(draws.mean(0) - centered) < 4.5 * spread + 1e-9)


def test_batch_and_vmap_agree(getkey):
    layer, x = springs(getkey())
    model = pnn.Physical(layer, pnn.estimators.EquilibriumPropagation(0.1))
    whole = eqx.filter_grad(lambda m: jnp.sum(m(x) ** 2))(model)
    mapped = eqx.filter_grad(lambda m: jnp.sum(jax.vmap(m)(x) ** 2))(model)
    for a, b in zip(*map(jax.tree.leaves, (whole, mapped)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.slow
def test_a_sweep_over_beta_is_one_call(getkey):
    layer, x = springs(getkey())

    def pull(beta):
        rule = pnn.estimators.EquilibriumPropagation(beta)
        loss = lambda m: jnp.sum(m(x) ** 2)  # noqa: E731
        return eqx.filter_grad(loss)(pnn.Physical(layer, rule)).layer.pull

    betas = jnp.asarray([0.1, 0.2])
    np.testing.assert_allclose(
        jax.vmap(pull)(betas), jnp.stack([pull(b) for b in betas]), rtol=1e-9
    )


@pytest.mark.parametrize(
    "rule",
    [
        pnn.estimators.EquilibriumPropagation,
        pnn.estimators.RandomSignEP,
        pnn.estimators.HolomorphicEP,
        pnn.estimators.FrequencyPropagation,
        pnn.estimators.VectorFieldEP,
        pnn.estimators.CoupledLearning,
    ],
)
@pytest.mark.parametrize("size", [0.0, float("nan"), float("inf")])
def test_a_nudge_of_no_size_is_refused(rule, size):
    with pytest.raises(ValueError, match="size of the nudge"):
        rule(size)


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="two `points`"):
        pnn.estimators.HolomorphicEP(0.5, points=1)
    with pytest.raises(ValueError, match="three `points`"):
        pnn.estimators.FrequencyPropagation(0.5, points=2)


def test_a_hard_limit_is_no_place_for_complex_nudges(getkey):
    class Hard(Springs):
        facts = pnn.Facts(conservative=True, smooth=True)

    layer, _ = springs(getkey())
    hard = Hard(layer.pull, layer.bonds, layer.outputs)
    with pytest.raises(TypeError, match="not an analytic function"):
        pnn.Physical(hard, pnn.estimators.HolomorphicEP())


def test_forces_without_a_potential_are_warned_about(getkey):
    class Wind(pnn.AbstractEquilibriumLayer):
        inner: Springs
        facts = pnn.Facts(smooth=True)

        def __call__(self, x, *, key=None):
            return self.inner(x)

        def initial_state(self, x, *, key=None):
            return self.inner.initial_state(x)

        def relax(self, state, x, nudge):
            return self.inner.relax(state, x, nudge)

        def readout(self, state):
            return self.inner.readout(state)

        def residual(self, state, x):
            return self.inner.residual(state, x)

    layer, _ = springs(getkey())
    with pytest.warns(pnn.GradientBiasWarning, match="no potential"):
        pnn.Physical(Wind(layer), pnn.estimators.VectorFieldEP())
    with pytest.raises(TypeError, match="VectorFieldEP"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pnn.Physical(Wind(layer), pnn.estimators.EquilibriumPropagation())


def test_spins_have_no_derivative_to_follow(getkey):
    machine = pnn.spins.IsingMachine((3, 4, 2), key=getkey())
    for rule in (
        pnn.estimators.ImplicitDifferentiation(),
        pnn.estimators.VectorFieldEP(),
        pnn.estimators.FrequencyPropagation(),
    ):
        with pytest.raises(TypeError, match="a spin flips or stays"):
            pnn.Physical(machine, rule)


def test_what_does_not_settle_is_an_error_that_says_so(getkey):
    layer, x = springs(getkey(), relaxation=UntilSettled(1e-14, 1e-14, max_steps=3))
    with pytest.raises(Exception, match="did not settle within 3 steps"):
        jax.block_until_ready(eqx.filter_jit(layer)(x))


def test_residual_tells_how_well_the_state_has_settled(getkey):
    layer, x = springs(getkey(), relaxation=FixedSteps(1, 1))
    after = []
    for steps in (1, 30, 300):
        longer = eqx.tree_at(lambda s: s.relaxation, layer, FixedSteps(steps, 1))
        after.append(pnn.free_residual(longer, x))
    assert after[0].shape == (4,)
    assert jnp.all(after[1] < after[0]) and jnp.all(after[2] < 1e-10)


@pytest.mark.parametrize("counts", [(0, 1), (1, 0), (-1, 5)])
def test_a_relaxation_has_steps(counts):
    with pytest.raises(ValueError, match="at least one step"):
        FixedSteps(*counts)


def test_tolerances_are_positive():
    with pytest.raises(ValueError, match="positive"):
        UntilSettled(rtol=0.0)


@pytest.mark.parametrize("name", RULES)
def test_cost_counts_the_relaxations(name, getkey):
    layer, x = springs(getkey(), relaxation=FixedSteps(5, 5))
    count = []

    class Counting(pnn.integrators.AbstractRelaxation):
        def __call__(self, step, state, *, nudged):
            jax.debug.callback(lambda: count.append(nudged))
            return FixedSteps(5, 5)(step, state, nudged=nudged)

    counting = eqx.tree_at(lambda s: s.relaxation, layer, Counting())
    model = pnn.Physical(counting, RULES[name])
    eqx.filter_grad(lambda m: jnp.sum(m(x) ** 2))(model)
    jax.effects_barrier()
    assert len(count) == RULES[name].cost(layer, x[0]).relaxations


def test_single_precision_settles_in_a_double_precision_session():
    half = jnp.asarray(0.5, jnp.float32)
    step = lambda s: half * s + half  # noqa: E731
    settled = UntilSettled(1e-6, 1e-6)(step, jnp.zeros(3, jnp.float32), nudged=False)
    assert settled.dtype == jnp.float32
    np.testing.assert_allclose(settled, 1.0, rtol=1e-5)
