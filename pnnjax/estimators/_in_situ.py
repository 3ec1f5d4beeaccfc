"""In-situ backpropagation: phase gradients from locally measured intensities."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, Claim, Conditions, Exact, PhysicalCost
from .._layer import AbstractReciprocalLayer, output_size
from ._signals import as_complex, like
from ._tap_detector import TapDetector


class InSituBackprop(AbstractEstimator):
    r"""The gradient of every phase from the interference of two measured fields.

    With $a$ the forward field after a phase shifter and $d$ the field that the error
    $\bar y$, sent backwards, has there, $\bar\phi = -\operatorname{Im} a d$. Where
    light retraces its path, sending $x - i x_d^*$ ($x_d$: what left the inputs)
    makes the field $a - i d^*$ there, so intensities are enough:

    $$-2\operatorname{Im} a d = |a - i d^*|^2 - |a|^2 - |d|^2
    = \tfrac12\left(|a - i d^*|^2 - |a + i d^*|^2\right)$$

    Each example's error is sent with the power of its input, and the reading divided
    by that gain, so that the intensities are alike and their difference keeps its
    digits.

    **Arguments:**
    - `toggled`: measure the second form, by toggling the sign of the error, which
      needs no $|d|^2$ (the term that loss makes wrong), but one more run.
    - `detector`: the taps' noise; drawn only when the layer is called with a key.
    - `repeats`: how often each intensity is measured; noise power falls as 1 / repeats.

    **Error:** rounding, if the layer is lossless. Loss biases it: light that is sent
    back is weaker where it left later. The phases of $y$ and $x_d$ are taken as known.
    **Source:** Hughes et al., *Optica* 5, 864 (2018), doi:10.1364/OPTICA.5.000864; Pai
    et al., *Science* 380, 398 (2023), doi:10.1126/science.ade8450.
    """

    claim: ClassVar[Claim] = Exact()
    conditions: ClassVar[Conditions] = Conditions(
        AbstractReciprocalLayer,
        required={
            "linear": "it is not linear, so two fields do not simply interfere",
            "reciprocal": "it is not reciprocal, so light sent back does not see the "
            "transposed matrix",
            "phase_only": "it has tunable elements that are no phase shifters, whose "
            "gradient these intensities do not contain",
        },
        expected={
            "lossless": "it is lossy, so the third field, sent forwards, does not "
            "retrace the error's path; the error of the gradient grows with the loss "
            "(`toggled=True` and a small loss help)"
        },
    )

    toggled: bool = eqx.field(static=True, default=False)
    detector: TapDetector | None = None
    repeats: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.repeats < 1:
            raise ValueError(f"`repeats` must be at least 1, not {self.repeats}.")

    def forward(
        self, layer: Any, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None
    ) -> tuple[Inexact[Array, "..."], PyTree[Array]]:
        return layer(x, key=key), None

    def backward(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        residuals: PyTree[Array],
        y_bar: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Inexact[Array, "..."]]:
        del residuals
        keys = [None] * 3 if key is None else list(jax.random.split(key, 3))
        signal, error = as_complex(x), as_complex(y_bar)
        gain = _matched_gain(signal, error, layer.example_ndim)
        weight = 1 / gain

        def measure(run, field, key):
            out, readings = run(field, _weighted_sum(weight))
            return out, self._read(readings, weight, key)

        returned, adjoint = measure(layer.transmit_back, _scaled(error, gain), keys[0])
        turned = -1j * jnp.conj(returned)
        _, plus = measure(layer.transmit, signal + turned, keys[1])
        if self.toggled:
            _, minus = measure(layer.transmit, signal - turned, keys[2])
            contrast = jax.tree.map(lambda p, m: (p - m) / 2, plus, minus)
        else:
            # The forward run's own taps: measured then, summed with these weights now.
            _, straight = measure(layer.transmit, signal, keys[2])
            contrast = jax.tree.map(lambda p, f, b: p - f - b, plus, straight, adjoint)
        overlap = jax.tree.map(
            lambda c: lax.complex(jnp.zeros_like(c), -c / 2), contrast
        )
        return layer.cotangent(overlap), like(_scaled(returned, weight), x)

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        taps = eqx.filter_eval_shape(_fields_at_taps, layer, x)
        elements = sum(leaf.size for leaf in jax.tree.leaves(taps))
        coherent = output_size(layer, x) + 2 * x.size  # y, and the returned field
        intensities = (2 if self.toggled else 3) * elements * self.repeats
        return PhysicalCost(
            runs=(4 if self.toggled else 3) * self.repeats,
            measurements=intensities + coherent,
            flops=3 * elements,
        )

    def _read(self, readings, weight, key):
        """Powers from the summed readings, with the noise of the single ones."""
        leaves, structure = jax.tree.flatten(readings, is_leaf=_is_reading)
        detector = self.detector
        if detector is None or key is None:
            return jax.tree.unflatten(structure, [leaf.power for leaf in leaves])
        readings_added = jnp.sum(weight**2)
        sizes = [leaf.power.size for leaf in leaves]
        # One draw for all taps: each draw is a function of its own to compile.
        unit = jax.random.normal(key, (sum(sizes),), leaves[0].power.dtype)
        units = jnp.split(unit, np.cumsum(sizes)[:-1])

        def noisy(reading, unit):
            variance = detector.power_variance(reading.squared, readings_added)
            deviation = jnp.sqrt(variance / self.repeats)
            return reading.power + deviation * unit.reshape(deviation.shape)

        return jax.tree.unflatten(structure, list(map(noisy, leaves, units)))


class _Reading(NamedTuple):
    """Powers at the taps, added up over the batch, since the gradient adds them up.

    The noise of the single readings adds up to a Gaussian; its variance needs the
    powers added with the squared weights too.
    """

    power: Float[Array, "..."]
    squared: Float[Array, "..."]


def _is_reading(node):
    return isinstance(node, _Reading)


def _fields_at_taps(layer, x):
    return layer.transmit(as_complex(x), lambda field: field)[1]


def _weighted_sum(weight):
    def detect(field):
        power = field.real**2 + field.imag**2
        axes = weight.ndim
        return _Reading(
            jnp.tensordot(weight, power, axes), jnp.tensordot(weight**2, power, axes)
        )

    return detect


def _matched_gain(signal, error, example_ndim):
    """What gives each example's error the power of its signal; finite, above zero."""
    light, wrong = (_norm(field, example_ndim) for field in (signal, error))
    tiny = jnp.finfo(light.dtype).tiny ** 0.5
    return jnp.where(light > tiny, light, 1) / jnp.where(wrong > tiny, wrong, 1)


def _norm(field, example_ndim):
    axes = tuple(range(-example_ndim, 0))
    return jnp.sqrt(jnp.sum(field.real**2 + field.imag**2, axes))


def _scaled(field, factor):
    extra = tuple(range(factor.ndim, field.ndim))
    return field * jnp.expand_dims(factor, extra).astype(field.dtype)
