"""`Physical`: one rule a batch, in every nesting, and the guards around it."""

import time
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Matrix, Tanh, field

import pnnjax as pnn


class Runs(list):
    """A list that can be a static field."""

    def __hash__(self):
        return id(self)

    def __eq__(self, other):
        return self is other


class Count(pnn.AbstractEstimator):
    """Autodiff that counts its runs on the host."""

    claim = pnn.Exact()
    runs: Runs = eqx.field(static=True)

    def forward(self, layer, x, *, key):
        jax.debug.callback(lambda: self.runs.append("forward"))
        return pnn.respond(layer, x, key), None

    def backward(self, layer, x, residuals, y_bar, *, key):
        jax.debug.callback(lambda: self.runs.append("backward"))
        rule = pnn.estimators.Autodiff()
        return rule.backward(layer, x, residuals, y_bar, key=key)

    def cost(self, layer, x):
        return pnn.PhysicalCost(runs=1)


def power(y):
    return jnp.sum(jnp.abs(y) ** 2)


LAYERS = {
    "real": lambda key: (
        Tanh(jax.random.normal(key, (3, 4))),
        jax.random.normal(key, (2, 5, 4)),
    ),
    "complex": lambda key: (Matrix(field(key, 3, 4)), field(key, 2, 5, 4)),
}


@pytest.fixture(params=LAYERS)
def layer_and_x(request, getkey):
    return LAYERS[request.param](getkey())


def physical(layer):
    runs = Runs()
    return pnn.Physical(layer, Count(runs)), runs


def same(a, b):
    return np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_a_vmapped_batch_is_one_run_each_way(layer_and_x):
    layer, x = layer_and_x
    model, runs = physical(layer)
    grad = eqx.filter_jit(eqx.filter_grad(lambda m: power(jax.vmap(m)(x[0]))))
    result = grad(model).layer.weight
    jax.effects_barrier()
    assert sorted(runs) == ["backward", "forward"]
    same(result, eqx.filter_grad(lambda m: power(jax.vmap(m)(x[0])))(layer).weight)


def test_nested_batches_are_one_run_each_way(layer_and_x):
    layer, x = layer_and_x
    model, runs = physical(layer)
    grad = eqx.filter_jit(eqx.filter_grad(lambda m: power(jax.vmap(jax.vmap(m))(x))))
    result = grad(model).layer.weight
    jax.effects_barrier()
    assert sorted(runs) == ["backward", "forward"]
    same(result, eqx.filter_grad(lambda m: power(m(x)))(layer).weight)


def test_leading_axes_need_no_vmap(layer_and_x):
    layer, x = layer_and_x
    model, _ = physical(layer)
    same(model(x), layer(x))
    same(jax.vmap(jax.vmap(model))(x), layer(x))


def stacked(layer):
    return jax.tree.map(lambda w: jnp.stack([w, 2 * w, -w]), layer)


@pytest.mark.parametrize("order", ["sweep outside", "sweep inside"])
def test_a_sweep_over_parameters_gives_each_point_its_own_gradient(layer_and_x, order):
    layer, x = layer_and_x

    def losses(models):
        if order == "sweep outside":
            return eqx.filter_vmap(lambda m: power(jax.vmap(m)(x[0])))(models)
        outputs = jax.vmap(lambda row: eqx.filter_vmap(lambda m: m(row))(models))(x[0])
        return jax.vmap(power, 1)(outputs)

    weights = jnp.arange(1.0, 4.0)
    grad = eqx.filter_jit(eqx.filter_grad(lambda models: losses(models) @ weights))
    model, _ = physical(layer)
    same(
        grad(stacked(model)).layer.weight,
        grad(stacked(layer)).weight,
    )


def test_a_sweep_over_an_estimators_number(getkey):
    layer, x = LAYERS["real"](getkey())

    class Scaled(pnn.AbstractEstimator):
        claim = pnn.Biased(0.0)
        factor: jax.Array

        def forward(self, layer, x, *, key):
            return layer(x), None

        def backward(self, layer, x, residuals, y_bar, *, key):
            rule = pnn.estimators.Autodiff()
            bar, x_bar = rule.backward(layer, x, residuals, y_bar, key=key)
            return jax.tree.map(lambda leaf: self.factor * leaf, bar), x_bar

        def cost(self, layer, x):
            return pnn.PhysicalCost(runs=1)

    def gradient(factor):
        model = pnn.Physical(layer, Scaled(factor))
        grad = eqx.filter_grad(lambda m: power(jax.vmap(m)(x[0])))(model)
        assert not jnp.any(grad.estimator.factor)
        return grad.layer.weight

    swept = jax.vmap(gradient)(jnp.asarray([1.0, 3.0]))
    same(swept[1], 3 * swept[0])


def test_scan_over_steps(layer_and_x):
    layer, x = layer_and_x

    def total(m):
        def step(carry, batch):
            return carry + power(jax.vmap(m)(batch)), None

        return jax.lax.scan(step, 0.0, x)[0]

    model, runs = physical(layer)
    result = eqx.filter_jit(eqx.filter_grad(total))(model).layer.weight
    jax.effects_barrier()
    assert len(runs) == 2 * len(x)
    same(result, eqx.filter_grad(total)(layer).weight)


def test_gradients_of_single_inputs(layer_and_x):
    layer, x = layer_and_x
    model, _ = physical(layer)
    each = jax.vmap(jax.grad(lambda row: power(model(row))))
    same(each(x[0]), jax.vmap(jax.grad(lambda row: power(layer(row))))(x[0]))


def test_jacobian_of_a_batch(getkey):
    layer, x = LAYERS["real"](getkey())

    def outputs(weight, wrap):
        return jax.vmap(wrap(Tanh(weight)))(x[0])

    def jacobian(wrap):
        return jax.jacrev(lambda weight: outputs(weight, wrap))(layer.weight)

    same(jacobian(lambda layer: physical(layer)[0]), jacobian(lambda layer: layer))


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_per_example_parameter_gradients_are_refused(getkey, transform):
    layer, x = LAYERS["real"](getkey())

    def loss(weight, row):
        return power(physical(Tanh(weight))[0](row))

    per_example = transform(jax.vmap(jax.grad(transform(loss)), (None, 0)))
    with pytest.raises(NotImplementedError, match="a physical batch has one gradient"):
        per_example(layer.weight, x[0])
    # What the message proposes works.
    many = jnp.stack([layer.weight] * 5)
    expected = jax.vmap(jax.grad(lambda w, row: power(Tanh(w)(row))), (None, 0))(
        layer.weight, x[0]
    )
    same(jax.vmap(jax.grad(loss))(many, x[0]), expected)


def test_keys_are_folded_into_one_and_both_passes_get_it(getkey):
    seen = Runs()

    class Keyed(pnn.AbstractEstimator):
        claim = pnn.Unbiased()

        def forward(self, layer, x, *, key):
            jax.debug.callback(seen.append, jax.random.key_data(key))
            return layer(x, key=key), None

        def backward(self, layer, x, residuals, y_bar, *, key):
            jax.debug.callback(seen.append, jax.random.key_data(key))
            rule = pnn.estimators.Autodiff()
            return rule.backward(layer, x, residuals, y_bar, key=key)

        def cost(self, layer, x):
            return pnn.PhysicalCost(runs=1)

    layer, x = Matrix(field(getkey(), 3, 4)), field(getkey(), 5, 4)
    model = pnn.Physical(layer, Keyed())
    keys = jax.random.split(getkey(), 5)
    run = lambda m: power(jax.vmap(lambda row, k: m(row, key=k))(x, keys))  # noqa: E731
    eqx.filter_jit(eqx.filter_grad(run))(model)
    jax.effects_barrier()
    assert len(seen) == 2 and np.array_equal(*seen)
    noise = jax.vmap(lambda row, k: model(row, key=k))(x, keys) - layer(x)
    assert jnp.std(jnp.abs(noise)) > 0


def test_many_keys_for_one_input_draw_different_noise(getkey):
    model, _ = physical(Matrix(field(getkey(), 3, 4)))
    x = field(getkey(), 4)
    draws = jax.vmap(lambda k: model(x, key=k))(jax.random.split(getkey(), 6))
    assert len(np.unique(np.asarray(draws))) == draws.size


def test_vmapped_step_costs_at_most_a_tenth_more_than_the_batched_one(getkey):
    layer = Tanh(jax.random.normal(getkey(), (256, 256)))
    x = jax.random.normal(getkey(), (512, 256))
    model = pnn.Physical(layer, pnn.estimators.Autodiff())

    def step(call):
        run = eqx.filter_jit(eqx.filter_grad(lambda m: power(call(m)(x))))
        jax.block_until_ready(run(model))
        return run

    steps = [step(jax.vmap), step(lambda m: m)]

    def ratio():
        times = np.empty((25, 2))
        for row in times:
            for i, run in enumerate(steps):
                start = time.perf_counter()
                jax.block_until_ready(run(model))
                row[i] = time.perf_counter() - start
        return np.divide(*np.median(times, 0))

    # A shared machine: the best of three ratios of interleaved medians.
    assert min(ratio() for _ in range(3)) <= 1.1


def test_attach_reaches_every_layer_that_supports_the_rule(getkey):
    mesh = pnn.optics.MZIMesh(4, key=getkey())
    model = eqx.nn.Sequential(
        [mesh, pnn.optics.ElectroOpticActivation(4), mesh, pnn.optics.Intensity()]
    )
    attached = pnn.attach(model, pnn.estimators.InSituBackprop())
    kinds = [type(layer).__name__ for layer in attached.layers]
    assert kinds == ["Physical", "ElectroOpticActivation", "Physical", "Intensity"]
    again = pnn.attach(attached, pnn.estimators.Autodiff())
    assert isinstance(again.layers[0].layer, pnn.optics.MZIMesh)
    few = pnn.attach(
        model, pnn.estimators.InSituBackprop(), where=lambda layer: layer is mesh
    )
    assert isinstance(few.layers[0], pnn.Physical)
    x = field(getkey(), 3, 4)
    same(eqx.filter_jit(attached)(x[0]), eqx.filter_jit(model)(x[0]))
    with pytest.raises(ValueError, match="No layer .* `AbstractSymmetricLayer`"):
        pnn.attach(eqx.nn.MLP(2, 2, 2, 1, key=getkey()), pnn.estimators.FullyForward())


def test_attach_can_make_each_layer_its_own_rule(getkey):
    layers = [pnn.optics.MZIMesh(4, key=getkey()) for _ in range(2)]

    def with_its_device(layer):
        return pnn.estimators.PhysicsAware(lambda model, x, key: layer(x) * 2)

    model = pnn.attach(eqx.nn.Sequential(layers), with_its_device)
    x = field(getkey(), 4)
    np.testing.assert_allclose(model(x), 4 * layers[1](layers[0](x)), rtol=1e-12)


def test_frozen_and_estimator_numbers_are_not_trainable(getkey):
    mesh = pnn.optics.MZIMesh(4, key=getkey(), splitter_error=0.1)
    rule = pnn.estimators.InSituBackprop(detector=pnn.estimators.TapDetector())
    model = pnn.Physical(mesh, rule)
    trained = eqx.filter(model, pnn.is_trainable(model))
    assert len(jax.tree.leaves(trained)) == 3
    x = field(getkey(), 3, 4)
    grad = eqx.filter_jit(eqx.filter_grad(lambda m: power(m(x)[..., 0])))(model)
    assert not any(
        jnp.any(leaf)
        for leaf in jax.tree.leaves((grad.layer.splitter_error, grad.estimator))
    )


def test_a_wrapped_layer_keeps_its_capability_and_one_draw_a_batch(getkey):
    mesh = pnn.optics.MZIMesh(4, key=getkey())
    noisy = pnn.imperfections.ReadNoise(0.1)(mesh, key=getkey())
    model = pnn.Physical(noisy, pnn.estimators.InSituBackprop())
    x, keys = field(getkey(), 5, 4), jax.random.split(getkey(), 5)
    y = eqx.filter_jit(jax.vmap(lambda row, k: model(row, key=k)))(x, keys)
    matrix = jnp.linalg.lstsq(x, y)[0]  # one linear map explains all five rows
    same(x @ matrix, y)
    same(matrix @ matrix.conj().T, jnp.eye(4, dtype=complex))
    assert jnp.max(jnp.abs(y - eqx.filter_jit(mesh)(x))) > 1e-3


def test_physical_cost_is_what_a_counting_layer_counts(getkey):
    counts = Runs()

    class Counting(pnn.AbstractReciprocalLayer):
        mesh: pnn.optics.MZIMesh

        @property
        def facts(self):
            return self.mesh.facts

        def __call__(self, x, *, key=None):
            jax.debug.callback(lambda: counts.append("run"))
            return self.mesh(x)

        def transmit(self, field, detect):
            jax.debug.callback(lambda: counts.append("run"))
            return self.mesh.transmit(field, self.reading(detect))

        def transmit_back(self, field, detect):
            jax.debug.callback(lambda: counts.append("run"))
            return self.mesh.transmit_back(field, self.reading(detect))

        def reading(self, detect):
            return detect

        def cotangent(self, overlap):
            return eqx.tree_at(lambda c: c.mesh, self, self.mesh.cotangent(overlap))

    layer = Counting(pnn.optics.MZIMesh(4, key=getkey()))
    x = field(getkey(), 4)
    for rule, resent in [
        # Simulated, the forward run's taps are read in a run of their own.
        (pnn.estimators.InSituBackprop(), 1),
        (pnn.estimators.InSituBackprop(toggled=True), 0),
    ]:
        counts.clear()
        model = pnn.Physical(layer, rule)
        eqx.filter_jit(eqx.filter_grad(lambda m: power(m(x)[0:1])))(model)
        jax.effects_barrier()
        assert len(counts) - resent == rule.cost(layer, x).runs
    # 4 columns of 2 slots with 2 shifters, 4 output phases; y and x_d are complex.
    taps = 4 * 2 * 2 + 4
    assert pnn.estimators.InSituBackprop().cost(layer, x).measurements == 3 * taps + 16
    device = pnn.estimators.PhysicsAware(lambda layer, x, key: layer(x))
    cost = device.cost(Matrix(field(getkey(), 3, 4)), x)
    assert cost.runs == 1 and cost.measurements == 6
    assert cost.flops > 0


def test_bias_is_announced_once_when_built(getkey):
    mesh = pnn.optics.MZIMesh(4, key=getkey(), loss=0.1)
    with pytest.warns(pnn.GradientBiasWarning, match="lossy"):
        model = pnn.Physical(mesh, pnn.estimators.InSituBackprop())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.tree.map(lambda leaf: leaf, model)


def test_float32_stays_float32(getkey):
    mesh = pnn.optics.MZIMesh(4, key=getkey())
    mesh = jax.tree.map(
        lambda p: p.astype(jnp.float32) if eqx.is_inexact_array(p) else p, mesh
    )
    x = field(getkey(), 3, 4).astype(jnp.complex64)
    for rule in (pnn.estimators.Autodiff(), pnn.estimators.InSituBackprop()):
        model = pnn.Physical(mesh, rule)
        loss = eqx.filter_grad(lambda m: power(jax.vmap(m)(x)[:, 0]))
        grad = eqx.filter_eval_shape(loss, model)
        assert grad.layer.theta.dtype == jnp.float32
        assert eqx.filter_eval_shape(model, x).dtype == jnp.complex64


def test_a_device_is_set_to_the_parameters_and_not_to_what_a_wrapper_makes_of_them(
    getkey,
):
    layer = Tanh(jax.random.normal(getkey(), (3, 4)))
    twin = pnn.imperfections.Mismatch(0.3)(layer, key=getkey())
    device = pnn.devices.SimulatedDevice(layer)
    model = pnn.Physical(twin, pnn.estimators.PhysicsAware(device))
    x = jax.random.normal(getkey(), (5, 4))

    y, pullback = eqx.filter_vjp(lambda model: model(x), model)

    np.testing.assert_allclose(y, layer(x), rtol=1e-12)
    (bar,) = pullback(y)
    _, of_the_twin = eqx.filter_vjp(lambda twin: twin(x), twin)
    np.testing.assert_allclose(
        bar.layer.layer.weight, of_the_twin(y)[0].layer.weight, rtol=1e-12
    )
