"""What the README says is true."""

import re
from pathlib import Path

import equinox as eqx
import jax
import pytest
from helpers import ESTIMATORS, LAYERS, outcome

import pnnjax as pnn

README = (Path(__file__).parents[1] / "README.md").read_text()

LIGHT = {
    "`MZIMesh`": "mesh",
    "`MZIMesh` with splitter errors, crosstalk": "mesh-faulty",
    "`MZIMesh` with loss": "mesh-lossy",
    "`TriangularMesh`": "triangular",
    "`SVDMesh`": "svd",
    "`DiffractiveLayer`": "diffractive",
    "`Detector`": "detector",
    "`ElectroOpticActivation`": "electro-optic",
    "`SaturableAbsorber`": "saturable",
    "`ModReLU`": "mod-relu",
    "`Intensity`": "intensity",
    "`ProgrammableWaveguide`": "waveguide",
    "`RingWeightBank`": "rings",
    "`ScatteringMedium`": "scattering",
    "`DipoleCavity`": "dipoles",
    "`NonlinearFiber`": "nonlinear-fiber",
    "`MultimodeFiber`": "multimode-fiber",
    "`SecondHarmonic`": "second-harmonic",
    "a mesh in `Mismatch`, `Quantize`, …": "mesh-mismatched",
    "`eqx.nn` modules": "foreign",
}
SETTLED = {
    "`HopfieldNetwork`, sigmoid": "hopfield",
    "`HopfieldNetwork` of maps, softmax pooling": "hopfield-maps",
    "`FullyConnectedHopfield`": "hopfield-full",
    "`AsymmetricNetwork`": "hopfield-asymmetric",
    "`ResistorNetwork` with junctions": "resistors",
    "`DeepResistiveNetwork`": "deep-resistive",
    "`Kuramoto`": "kuramoto",
    "`ElasticNetwork`": "springs",
}
MOVING = {
    "`NonlinearLattice`": "lattice",
    "`DuffingLattice`": "duffing",
    "`CanonicalPendula`": "pendula-canonical",
    "`ResonatorNetwork`": "resonator-network",
    "`KerrNetwork`": "kerr-network",
    "`RCNetwork`": "rc",
}
MEMORIES = {
    "`Crossbar`": "crossbar",
    "`Crossbar` with resistive lines": "crossbar-lines",
    "`Twin`, a fitted model of a device": "twin",
}
WITHOUT_A_MODEL = {
    "`eqx.nn.Sequential`": "stack",
    "other `eqx.nn` modules": "foreign",
    "`MZIMesh`": "mesh",
    "`MZIMesh` with crosstalk": "mesh-faulty",
    "a mesh in `Mismatch`, `Quantize`, …": "mesh-mismatched",
    "`DiffractiveLayer`": "diffractive",
    "`VariationalCircuit`": "quantum",
    "`HopfieldNetwork`, sigmoid": "hopfield",
}
FOR_LIGHT = {
    "Autodiff": "autodiff",
    "PhysicsAware": "physics-aware",
    "InSituBackprop": "in-situ",
    "FullyForward": "fully-forward",
    "OpticalBackprop": "optical-backprop",
}
FOR_SETTLED = {
    "ImplicitDifferentiation": "implicit",
    "EquilibriumPropagation": "ep",
    "RandomSignEP": "ep-random-sign",
    "HolomorphicEP": "ep-holomorphic",
    "VectorFieldEP": "ep-vector-field",
    "FrequencyPropagation": "frequency",
    "CoupledLearning": "coupled",
    "ContrastiveHebbian": "contrastive-hebbian",
}
FOR_MOVING = {
    "HamiltonianEcho": "echo",
    "ScatteringBackprop": "scattering",
    "NonlinearScatteringBackprop": "scattering-nonlinear",
    "SameDeviceAdjoint": "same-device",
}
FOR_MEMORIES = {
    "Autodiff": "autodiff",
    "PhysicsAware": "physics-aware",
    "TransposedRead": "transposed-read",
}
FOR_ANY = {
    "FiniteDifference": "finite-difference",
    "SPSA": "spsa",
    "MultiplexedGradientDescent": "multiplexed",
    "ParameterShift": "parameter-shift",
    "FeedbackAlignment": "feedback-alignment",
    "DirectFeedbackAlignment": "direct-feedback",
}


def cell(layer, estimator) -> str:
    """What `Physical` does with the two, and what the estimator then promises."""
    match outcome(layer, estimator), estimator.claim:
        case "refused", _:
            return "–"
        case "biased", _:
            return "*biased*"
        case _, pnn.Biased(min_cosine):
            return f"cosine ≥ {min_cosine}"
        case _, pnn.Order(p):
            return f"order {p}"
        case _, pnn.Unbiased():
            return "unbiased"
    return "**exact**"


def table(rows, columns) -> str:
    lines = [
        "| | " + " | ".join(f"`{name}`" for name in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for label, name in rows.items():
        layer, _ = LAYERS[name](jax.random.key(0))
        cells = [cell(layer, ESTIMATORS[own](layer)) for own in columns.values()]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (LIGHT, FOR_LIGHT),
        (SETTLED, FOR_SETTLED),
        (MOVING, FOR_MOVING),
        (MEMORIES, FOR_MEMORIES),
        (WITHOUT_A_MODEL, FOR_ANY),
    ],
)
def test_table_of_layers_and_estimators_is_what_physical_does(rows, columns):
    assert table(rows, columns) in README


def test_tables_name_every_estimator():
    public = {name for name in dir(pnn.estimators) if not name.startswith("_")}
    kinds = {name for name in public if isinstance(getattr(pnn.estimators, name), type)}
    rules = {
        name
        for name in kinds
        if issubclass(getattr(pnn.estimators, name), pnn.AbstractEstimator)
    }
    assert rules == {*FOR_LIGHT, *FOR_SETTLED, *FOR_MOVING, *FOR_MEMORIES, *FOR_ANY}


def test_example_is_short_and_runs(capsys):
    first, second, third = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    body = [line for line in first.splitlines() if line.strip()]
    assert len([line for line in body if "import" not in line]) <= 20
    promised = float(re.search(r"about (0\.\d+)", first)[1])
    names: dict = {}
    with jax.enable_x64(False):
        exec(compile(first, "README.md", "exec"), names)
        assert float(capsys.readouterr().out) == pytest.approx(promised, abs=0.05)
        exec(compile(second, "README.md", "exec"), names)
        images = jax.numpy.zeros((3, 64))
        assert names["model"](images).shape == (3, 10)
        exec(compile(third, "README.md", "exec"), names)
        assert names["aged"](images).shape == (3, 10)
        parameters = eqx.filter(names["model"], pnn.is_trainable(names["model"]))
        memory = names["optimizer"].init(parameters)
        assert names["optimizer"].update(parameters, memory, parameters)


def test_every_experiment_named_is_registered():
    named = set(re.findall(r"pnnjax train ([a-z0-9-]+)", README))
    assert named and named <= set(pnn.zoo.names())
    assert all(f"`{name}`" in README for name in pnn.zoo.names())
