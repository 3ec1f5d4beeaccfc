"""Small layers and estimators by name: what tests and the leaderboard run over."""

from ._registry import (
    DOMAINS as DOMAINS,
    ESTIMATORS as ESTIMATORS,
    LAYERS as LAYERS,
    LayerSpecimen as LayerSpecimen,
    RuleSpecimen as RuleSpecimen,
    UnknownSpecimenError as UnknownSpecimenError,
    estimator_named as estimator_named,
    layer_named as layer_named,
    register_estimator as register_estimator,
    register_layer as register_layer,
)

_NAMES = {
    "optics": "mesh mesh-odd mesh-faulty mesh-lossy mesh-mismatched "
    "triangular svd diffractive detector electro-optic saturable "
    "mod-relu intensity nonlinear-fiber multimode-fiber "
    "second-harmonic resonator-network kerr-network waveguide "
    "scattering dipoles dipoles-structural rings ",
    "circuits": "resistors rc deep-resistive crossbar crossbar-lines",
    "spins": "hopfield hopfield-maps hopfield-full hopfield-asymmetric",
    "oscillators": "kuramoto lattice duffing delay-reservoir polaritons "
    "spin-torque spin-torque-reservoir echo-state ",
    "waves": "springs pendula pendula-canonical time-floquet membranes wave ",
    "quantum": "quantum",
    "other": "foreign stack",
}
_RULES = (
    "autodiff physics-aware in-situ in-situ-toggled fully-forward "
    "optical-backprop scattering scattering-nonlinear implicit ep "
    "ep-one-sided ep-random-sign ep-holomorphic ep-vector-field frequency "
    "coupled contrastive-hebbian transposed-read same-device echo "
    "echo-one-sided feedback-alignment direct-feedback finite-difference "
    "spsa multiplexed parameter-shift "
)

for _domain, _names in _NAMES.items():
    for _name in _names.split():
        _target = f"{__name__}._{_domain}:{_name.replace('-', '_')}"
        _axes = 2 if _name in ("triangular", "crossbar") else 1
        register_layer(_name, _target, domain=_domain, batch_axes=_axes)
for _name in _RULES.split():
    register_estimator(_name, f"{__name__}._rules:{_name.replace('-', '_')}")
