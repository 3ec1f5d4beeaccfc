"""A device whose every reading is noisy, whatever the rule that reads it."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from .._estimator import facts_of
from .._frozen import Frozen
from .._layer import (
    AbstractClampableLayer,
    AbstractEquilibriumLayer,
    AbstractPumpProbeLayer,
    AbstractReciprocalLayer,
    AbstractSymmetricLayer,
    AbstractTransposableLayer,
    Detect,
    Facts,
    respond,
)

INSTRUMENTS = (
    AbstractEquilibriumLayer,
    AbstractPumpProbeLayer,
    AbstractReciprocalLayer,
    AbstractSymmetricLayer,
    AbstractTransposableLayer,
    eqx.Module,
)
"""What a rule may ask of a layer so that `NoisyReadings` knows what it reads: exactly
these, or anything below the first."""


class NoisyReadings(
    AbstractReciprocalLayer,
    AbstractClampableLayer,
    AbstractTransposableLayer,
    AbstractSymmetricLayer,
    AbstractPumpProbeLayer,
):
    r"""`layer`, read by instruments of the relative noise `level`.

    What is read is the output; the fields at taps, also of light sent backwards; each
    element of a settled state; the field of a probe. A reading $r$ becomes
    $r + \sigma\sqrt{\langle|r|^2\rangle}\,\varepsilon$, the mean over all that is read
    at a time, with $\langle|\varepsilon|^2\rangle = 1$. The noise is drawn from the
    key and from the reading's own bits: that of two readings that differ is
    independent.

    It has every capability that can be read so; only those of `layer` work.
    """

    layer: Any
    level: Frozen[Float[Array, ""]]
    key: Frozen[PRNGKeyArray]
    pool: Frozen[Float[Array, " count"]]
    facts: Facts = eqx.field(static=True)

    def __init__(
        self,
        layer: Any,
        level: Float[Array, ""],
        key: PRNGKeyArray,
        pool: Float[Array, " count"],
    ):
        """`pool`: normal numbers, from which those of the noise are picked."""
        self.layer = layer
        self.level = Frozen(level)
        self.key = Frozen(key)
        self.pool = Frozen(pool)
        self.facts = Facts(**facts_of(layer))

    def __call__(
        self, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Inexact[Array, "..."]:
        return self.read(respond(self.layer, x, None), key)

    def read(self, reading: PyTree[Array], key: PRNGKeyArray | None = None) -> PyTree:
        """With noise on each array of numbers."""
        key = self.key.value if key is None else key
        return jax.tree.map(
            lambda leaf: (
                leaf + _noise(leaf, self.level.value, key, self.pool.value)
                if jnp.issubdtype(leaf.dtype, jnp.inexact)
                else leaf
            ),
            reading,
        )

    @property
    def example_ndim(self) -> int:
        return self.layer.example_ndim

    def transmit(
        self, field: Inexact[Array, "..."], detect: Detect
    ) -> tuple[Inexact[Array, "..."], PyTree]:
        out, readings = self.layer.transmit(field, lambda f: detect(self.read(f)))
        return self.read(out), readings

    def transmit_back(
        self, field: Inexact[Array, "..."], detect: Detect
    ) -> tuple[Inexact[Array, "..."], PyTree]:
        out, readings = self.layer.transmit_back(field, lambda f: detect(self.read(f)))
        return self.read(out), readings

    def modulate(self, field: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.read(self.layer.modulate(field))

    def propagate(self, field: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.read(self.layer.propagate(field))

    def cotangent(self, overlap: PyTree[Array]) -> "NoisyReadings":
        return self._around(self.layer.cotangent(overlap))

    def probe(
        self, pump: Inexact[Array, "..."], probe: Inexact[Array, "..."]
    ) -> Inexact[Array, "..."]:
        return self.read(self.layer.probe(pump, probe))

    @property
    def conductance(self) -> Array:
        return self.layer.conductance

    @property
    def traffic(self) -> Array | None:
        return self.layer.traffic

    def read_back(
        self, y_bar: Float[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "..."]:
        return self.read(self.layer.read_back(y_bar, key=None), key)

    def outer_product(
        self, x: Float[Array, "..."], y_bar: Float[Array, "..."]
    ) -> "NoisyReadings":
        return self._around(self.layer.outer_product(x, y_bar))

    def project(self) -> "NoisyReadings":
        return self._around(self.layer.project())

    def initial_state(
        self, x: Float[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> PyTree[Array]:
        return self.layer.initial_state(x, key=None)

    def relax(
        self,
        state: PyTree[Array],
        x: Float[Array, "..."],
        nudge: Inexact[Array, "..."] | None,
    ) -> PyTree[Array]:
        return self.read(self.layer.relax(state, x, nudge))

    def relax_clamped(
        self,
        state: PyTree[Array],
        x: Float[Array, "..."],
        output: Float[Array, "..."],
    ) -> PyTree[Array]:
        return self.read(self.layer.relax_clamped(state, x, output))

    def readout(self, state: PyTree[Array]) -> Inexact[Array, "..."]:
        return self.layer.readout(state)

    def residual(self, state: PyTree[Array], x: Float[Array, "..."]) -> PyTree[Array]:
        return self.layer.residual(state, x)

    def energy(
        self, state: PyTree[Array], x: Float[Array, "..."]
    ) -> Inexact[Array, "..."]:
        return self.layer.energy(state, x)

    def _around(self, layer: Any) -> "NoisyReadings":
        return eqx.tree_at(lambda noisy: noisy.layer, self, layer)


class Chip(eqx.Module):
    """The device of `PhysicsAware`: it runs as it is, whatever its model says."""

    device: Any

    def __call__(
        self, layer: Any, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None
    ) -> Inexact[Array, "..."]:
        del layer
        return lax.stop_gradient(respond(self.device, x, key))


def _noise(reading: Array, level: Array, key: PRNGKeyArray, pool: Array) -> Array:
    """Picked from `pool`: to draw it here would be most of what there is to compile."""
    dtype = reading.real.dtype
    fixed = lax.stop_gradient(reading)
    parts = [fixed.real, fixed.imag] if jnp.iscomplexobj(fixed) else [fixed]
    size = jnp.sqrt(sum(jnp.mean(part**2) for part in parts)) * level.astype(dtype)
    start = jnp.sum(jax.random.key_data(key), dtype=jnp.uint32)
    start = start + sum(map(_fingerprint, parts))
    drawn = [_picked(pool, start + 77 * i, reading.shape) for i in range(len(parts))]
    if len(parts) == 1:
        return size * drawn[0]
    return lax.complex(*(size * 0.5**0.5 * unit for unit in drawn))


def _picked(pool: Array, start: Array, shape: tuple[int, ...]) -> Array:
    place = lax.iota(jnp.uint32, math.prod(shape)) + start * jnp.uint32(0x9E3779B9)
    mixed = (place ^ (place >> 16)) * jnp.uint32(0x7FEB352D)
    mixed = (mixed ^ (mixed >> 15)) * jnp.uint32(0x846CA68B)
    return pool[(mixed ^ (mixed >> 16)) % pool.size].reshape(shape)


def _fingerprint(values: Array) -> Array:
    """Of the bits of real numbers."""
    bits = lax.bitcast_convert_type(values, f"uint{8 * values.dtype.itemsize}")
    if bits.dtype == jnp.uint64:
        bits = bits ^ (bits >> 32)
    bits = bits.astype(jnp.uint32).ravel()
    # An odd number for each place, so that numbers that trade places are told apart.
    return jnp.sum(bits * (2 * lax.iota(jnp.uint32, bits.size) + 1), dtype=jnp.uint32)
