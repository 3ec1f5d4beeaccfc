"""Every estimator, on every layer that it accepts, is held to its claim."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from helpers import ESTIMATORS, LAYERS, Matrix, Tanh, field, outcome, pairs

import pnnjax as pnn

# These send back JAX's own derivative of the layer, or are variants of rules that are
# held on every layer, or know nothing of the layer. One layer of each kind, or a few at
# all, are enough for every day; the slow run takes them all.
VARIANTS = {
    "autodiff",
    "physics-aware",
    "implicit",
    "coupled",
    "ep-holomorphic",
    "ep-one-sided",
    "ep-random-sign",
    "ep-vector-field",
    "frequency",
    "contrastive-hebbian",
    "echo-one-sided",
    "parameter-shift",
}
OF_EACH_KIND = {
    "matrix",
    "foreign",
    "mesh-mismatched",
    "hopfield",
    "lattice",
    "wave",
    "rc",
}
BLIND = {"finite-difference", "spsa", "multiplexed"}
FEW = {"matrix", "foreign"}


def marked(layer, estimator):
    rare = (estimator in VARIANTS and layer not in OF_EACH_KIND) or (
        estimator in BLIND and layer not in FEW
    )
    return pytest.param(layer, estimator, marks=[pytest.mark.slow] if rare else [])


@pytest.mark.parametrize(
    ("layer_name", "estimator_name"), [marked(*pair) for pair in pairs("accepted")]
)
def test_claim_holds(layer_name, estimator_name, getkey):
    layer, x = LAYERS[layer_name](getkey())
    report = pnn.hold_to_claim(
        layer, ESTIMATORS[estimator_name](layer), x, key=getkey()
    )
    assert report.held, report


def test_biased_pairs_are_those_that_theory_names():
    assert set(pairs("biased")) == {
        ("mesh-lossy", "in-situ"),
        ("mesh-lossy", "in-situ-toggled"),
        # Light that diffracts out of the window is lost.
        ("diffractive", "in-situ"),
        ("diffractive", "in-situ-toggled"),
        # Its couplings differ in the two directions.
        ("hopfield-asymmetric", "ep-vector-field"),
        # Its lines change the voltages on their way to the cells.
        ("crossbar-lines", "transposed-read"),
    }


@pytest.mark.parametrize(
    ("layer_name", "estimator_name", "reason"),
    [
        ("matrix", "in-situ", "AbstractReciprocalLayer"),
        ("tanh", "fully-forward", "AbstractSymmetricLayer"),
        ("mesh", "fully-forward", "AbstractSymmetricLayer"),
        ("mesh", "optical-backprop", "AbstractPumpProbeLayer"),
        ("foreign", "in-situ", "AbstractReciprocalLayer"),
    ],
)
def test_refusal_names_layer_reason_and_alternatives(
    layer_name, estimator_name, reason, getkey
):
    layer, _ = LAYERS[layer_name](getkey())
    with pytest.raises(TypeError) as caught:
        pnn.Physical(layer, ESTIMATORS[estimator_name](layer))
    message = str(caught.value)
    assert type(layer).__name__ in message
    assert reason in message
    assert "PhysicsAware" in message


def test_non_reciprocal_layer_is_refused_with_the_reason(getkey):
    class Isolator(pnn.AbstractReciprocalLayer):
        facts = pnn.Facts(linear=True, lossless=True, phase_only=True)

        def __call__(self, x, *, key=None):
            return x

        def transmit(self, field, detect):
            return field, detect(field)

        def transmit_back(self, field, detect):
            return jnp.zeros_like(field), detect(field)

        def cotangent(self, overlap):
            return self

    with pytest.raises(TypeError, match="not reciprocal"):
        pnn.Physical(Isolator(), pnn.estimators.InSituBackprop())


class OffByHalf(pnn.AbstractEstimator):
    """Scales the parameters' gradient by 1 + epsilon, adds noise, or turns it."""

    claim = pnn.Exact()
    epsilon: jax.Array

    def forward(self, layer, x, *, key):
        return pnn.respond(layer, x, key), None

    def backward(self, layer, x, residuals, y_bar, *, key):
        rule = pnn.estimators.Autodiff()
        bar, x_bar = rule.backward(layer, x, residuals, y_bar, key=None)
        scale = 1 + self.epsilon
        if key is not None:
            scale = scale + jax.random.normal(key)
        return jax.tree.map(lambda leaf: leaf * scale, bar), x_bar

    def cost(self, layer, x):
        return pnn.PhysicalCost(runs=1)


def claiming(claim):
    return type("Claiming", (OffByHalf,), {"claim": claim})


@pytest.mark.parametrize(
    ("claim", "epsilon", "held"),
    [
        (pnn.Exact(), 0.0, True),
        (pnn.Exact(), 1e-6, False),
        (pnn.Order(1, in_="epsilon"), 0.1, True),
        (pnn.Order(2, in_="epsilon"), 0.1, False),
        (pnn.Unbiased(), 0.0, True),
        (pnn.Unbiased(), 1.0, False),
        (pnn.Biased(0.9), 0.5, True),
        (pnn.Biased(0.9), -3.0, False),
    ],
)
def test_a_false_claim_is_found_out(claim, epsilon, held, getkey):
    layer = Tanh(jax.random.normal(getkey(), (3, 4)))
    x = jax.random.normal(getkey(), (5, 4))
    estimator = claiming(claim)(jnp.asarray(epsilon))
    assert pnn.hold_to_claim(layer, estimator, x, key=getkey()).held is held


def test_claims_are_judged_in_double_precision_only(getkey):
    layer = Matrix(field(getkey(), 3, 4).astype(jnp.complex64))
    with pytest.raises(ValueError, match="double precision"):
        pnn.hold_to_claim(
            layer,
            pnn.estimators.Autodiff(),
            field(getkey(), 4).astype(jnp.complex64),
            key=getkey(),
        )


def in_situ_error(layer, x, toggled, key):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pnn.GradientBiasWarning)
        report = pnn.hold_to_claim(
            layer, pnn.estimators.InSituBackprop(toggled=toggled), x, key=key
        )
    return report.measured


@pytest.mark.slow
def test_loss_biases_in_situ_gradients_the_more_the_larger_it_is(getkey):
    key, x = getkey(), field(getkey(), 16, 6)
    errors = [
        in_situ_error(pnn.optics.MZIMesh(6, key=key, loss=loss), x, False, getkey())
        for loss in (0.0, 0.01, 0.2)
    ]
    assert errors[0] < 1e-12
    assert errors[1] < errors[2]
    assert 1e-4 < errors[1] < 0.1


@pytest.mark.slow
def test_toggling_removes_the_error_power_that_loss_makes_wrong(getkey):
    mesh = pnn.optics.MZIMesh(8, key=getkey(), loss=0.2)
    x, key = field(getkey(), 16, 8), getkey()
    assert in_situ_error(mesh, x, True, key) < in_situ_error(mesh, x, False, key)


@pytest.mark.slow
def test_detector_noise_averages_out(getkey):
    mesh, x = pnn.optics.MZIMesh(4, key=getkey()), field(getkey(), 8, 4)
    detector = pnn.estimators.TapDetector(bandwidth=1e13)

    def spread(repeats):
        rule = pnn.estimators.InSituBackprop(detector=detector, repeats=repeats)
        model = pnn.Physical(mesh, rule)

        @jax.jit
        def phases(key):
            loss = lambda m: jnp.sum(jnp.abs(m(x, key=key)[:, 0]) ** 2)  # noqa: E731
            return eqx.filter_grad(loss)(model).layer.theta

        draws = jax.lax.map(phases, jax.random.split(jax.random.key(1), 400))
        exact = eqx.filter_grad(lambda m: jnp.sum(jnp.abs(m(x)[:, 0]) ** 2))(mesh).theta
        deviation = jnp.abs(draws.mean(0) - exact)[mesh.occupied]
        error = draws.std(0)[mesh.occupied]
        assert jnp.all(deviation < 4.5 * error / 20)
        return float(jnp.sqrt(jnp.mean(error**2)))

    assert spread(1) / spread(16) == pytest.approx(4, rel=0.05)


def test_outcome_registry_covers_every_estimator():
    tested = {name for _, name in pairs("accepted")}
    assert tested == set(ESTIMATORS)
    assert {
        outcome(LAYERS["mesh"](jax.random.key(0))[0], e(None))
        for e in ESTIMATORS.values()
    } == {
        "accepted",
        "refused",
    }
