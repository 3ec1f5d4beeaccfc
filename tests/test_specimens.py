"""The registry of small layers and estimators."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import pnnjax as pnn
from pnnjax.zoo import specimens

SUBSTRATES = (
    pnn.circuits,
    pnn.optics,
    pnn.oscillators,
    pnn.quantum,
    pnn.spins,
    pnn.waves,
)
WITHOUT = {
    "AmplitudeMask": "an element of `DiffractiveLayer`",
    "ComplexMask": "an element of `DiffractiveLayer`",
    "HeightMap": "an element of `DiffractiveLayer`",
    "PhaseMask": "an element of `DiffractiveLayer`",
    "FreeSpace": "a part of `DiffractiveLayer`, with nothing to train",
    "BalancedDetector": "two of `Detector`",
    "GaussianModes": "a change of basis, with nothing to train",
    "ModeImager": "a change of basis, with nothing to train",
    "ModeProjector": "a change of basis, with nothing to train",
    "StreamedScatteringMedium": "`ScatteringMedium`, kept in another way",
    "CrossbarConvolution": "a `Crossbar`, read at each place of an image",
    "IsingMachine": "its spins flip or stay: there is no gradient",
}


def finals(module, kind):
    classes = [getattr(module, name) for name in dir(module)]
    return {
        c.__name__
        for c in classes
        if inspect.isclass(c) and issubclass(c, kind) and not inspect.isabstract(c)
    }


def made(specimen):
    """Its layer, with shapes for arrays where numbers are not looked at."""
    key = jax.random.key(0)
    try:
        return eqx.filter_eval_shape(specimen, key)[0]
    except jax.errors.ConcretizationTypeError:
        return specimen(key)[0]


def test_every_layer_has_a_specimen_or_a_reason():
    there = {type(made(s)).__name__ for s in specimens.LAYERS.values()}
    public = set().union(*(finals(room, pnn.AbstractLayer) for room in SUBSTRATES))
    assert public - there == set(WITHOUT)


def test_every_estimator_has_a_specimen():
    there = {type(make(None)).__name__ for make in specimens.ESTIMATORS.values()}
    assert there == finals(pnn.estimators, pnn.AbstractEstimator)


def test_every_specimen_says_what_it_is():
    for specimen in (*specimens.LAYERS.values(), *specimens.ESTIMATORS.values()):
        assert specimen.summary.endswith(".")
        assert "\n" not in specimen.summary


def bent_wire(key):
    """A wire."""
    return pnn.optics.Intensity(), jnp.ones((2, 3), complex)


def test_a_layer_of_ones_own(monkeypatch):
    from pnnjax.zoo.specimens import _registry

    monkeypatch.setattr(_registry, "_LAYERS", dict(_registry._LAYERS))
    target = f"{__name__}:bent_wire"
    specimens.register_layer("wire", target, domain="optics")
    assert _registry._LAYERS["wire"].summary == "A wire."
    with pytest.raises(ValueError, match="already"):
        specimens.register_layer("wire", "elsewhere:wire")
    with pytest.raises(ValueError, match="optics"):
        specimens.register_layer("other-wire", target, domain="acoustics")
    layer, x = specimens.layer_named(target)(jax.random.key(0))
    assert layer(x).shape == x.shape


def test_an_unknown_name_is_refused_with_those_that_are_near():
    with pytest.raises(specimens.UnknownSpecimenError, match="`mesh-odd`"):
        specimens.layer_named("mesh-od")
    with pytest.raises(specimens.UnknownSpecimenError, match="`spsa`"):
        specimens.estimator_named("spas")
    missing = specimens.layer_named("pnnjax.zoo:nothing")
    with pytest.raises(specimens.UnknownSpecimenError, match="nothing"):
        missing(jax.random.key(0))
