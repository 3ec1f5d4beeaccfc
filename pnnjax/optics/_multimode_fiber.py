"""Light in many modes of a graded-index fiber, coupled by bends and by itself."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .._frozen import Frozen
from .._layer import AbstractLayer, Facts
from ..integrators import split_step
from ._fiber_modes import GradedIndexModes
from ._pulse import MOST_PHASE, Number
from ._sampling import polar

# How far along the last slope a stage begins, and its share of the step.
_RUNGE_KUTTA = ((0, 1 / 6), (0.5, 1 / 3), (0.5, 1 / 3), (1, 1 / 6))


def kerr_coupled(
    amplitudes: Complex[Array, "*batch modes"],  # √W
    profiles: Float[Array, "modes nodes"],  # 1/m, or another unit of length
    weights: Float[Array, " nodes"],  # m²
    strength: Float[Array, ""],  # m²/W, n2 k0 times the step
) -> tuple[Complex[Array, "*batch modes"], Float[Array, "*batch"]]:
    r"""What the Kerr effect does to modes, and the greatest phase (rad) of any point.

    $$\partial_z a_p = i n_2 k_0 \sum_{qrs} S_{pqrs}\, a_q a_r a_s^*, \qquad
      S_{pqrs} = \int \psi_p \psi_q \psi_r \psi_s\, d^2r$$

    by $\int \psi_p |E|^2 E\, d^2r$ at the nodes of a quadrature: the same as with the
    tensor, but in $4MQ$ products for $M$ modes and $Q$ nodes in place of $M^4$.

    **Error:** one step of Runge and Kutta, after which the power is put back to what it
    was; the mean phase, which the motion conserves, is exact.
    """
    power = jnp.sum(_power(amplitudes), -1, keepdims=True)

    def local(a):
        """The field at the nodes, and its power density (W/m²)."""
        field = _real_matmul(a, profiles)
        return field, _power(field)

    field, density = local(amplitudes)
    dark = power <= 0
    energy = jnp.sum(_row(weights, density) * density**2, -1, keepdims=True)
    mean = energy / jnp.where(dark, 1, power)

    def slope(a):
        field, density = local(a)
        turned = (_row(weights, density) * density).astype(field.dtype) * field
        pull = _real_matmul(turned, profiles.T) - mean.astype(a.dtype) * a
        return lax.complex(-strength * pull.imag, strength * pull.real)

    def stage(carry, weights):
        (reach, share), (k, after) = weights, carry
        k = slope(amplitudes + reach.astype(k.dtype) * k)
        return (k, after + share.astype(k.dtype) * k), None

    start = jnp.zeros_like(amplitudes), amplitudes
    (_, after), _ = lax.scan(stage, start, jnp.asarray(_RUNGE_KUTTA, power.dtype))
    norm = jnp.sum(_power(after), -1, keepdims=True)
    back = jnp.sqrt(jnp.where(dark, 1, power) / jnp.where(dark, 1, norm))
    phase = strength * mean
    turn = lax.complex(back * jnp.cos(phase), back * jnp.sin(phase))
    most = jnp.abs(strength) * jnp.max(lax.stop_gradient(density), -1)
    return turn * after, most


class MultimodeFiber(AbstractLayer):
    r"""Amplitudes of modes in, amplitudes of modes out.

    $$\partial_z a = i(\beta + C(z))\, a + i n_2 k_0 \sum S\, a a a^*
      - \frac{\alpha}{2} a$$

    Bends and flaws couple the modes by a real symmetric $C$, drawn anew for each of
    `sections` equal lengths. Couplings between groups, whose propagation constants
    differ by the gradient $g$, average out where they are weaker.

    A spatial light modulator in front, a camera behind:

        eqx.nn.Sequential([mask, ModeProjector(modes, shape, pitch), fiber,
                           ModeImager(modes, shape, pitch), Intensity()])

    Nothing of the fiber is trained.

    **Valid for:** continuous light, or pulses so long that modes do not part: the
    amplitude is that of the peak.
    **Error:** of the `order` in the length of a step. Single precision knows phases to
    1e-7 of $\beta z$, some 1e-2 rad after a meter: there, use double precision.
    **Source:** Poletti and Horak, *J. Opt. Soc. Am. B* 25, 1645 (2008),
    doi:10.1364/JOSAB.25.001645; Teğin *et al.*, *Nat. Comput. Sci.* 1, 542 (2021),
    doi:10.1038/s43588-021-00112-0.
    """

    modes: GradedIndexModes
    length: Number  # m
    nonlinear_index: float  # m²/W
    loss: float  # 1/m, of the power
    steps: int = eqx.field(static=True)
    order: int = eqx.field(static=True)
    generator: Frozen[tuple[Array, Array]]
    """Eigenvalues (rad/m) and eigenvectors of $\\beta + C$ in each section."""

    def __init__(
        self,
        modes: GradedIndexModes,
        length: Number,  # m
        *,
        steps: int,
        coupling: float = 0.0,  # rad/m
        sections: int = 1,
        nonlinear_index: float = 2.6e-20,  # m²/W
        loss: float = 0.0,  # 1/m, of the power
        order: int = 2,
        key: PRNGKeyArray | None = None,
    ):
        """`steps` in each of the `sections`; without a `nonlinear_index` one will do.

        **Arguments:** `coupling`: standard deviation of each coupling of two modes,
        root two times that of a detuning; `key` draws them. `order` of the splitting.
        **Raises:** `ValueError` for what can't be built, or a coupling without a key.
        """
        if (coupling == 0) != (key is None):
            raise ValueError(
                "Random couplings need a `key` that draws them, and a key is for these "
                f"alone: `coupling` is {coupling}, `key` is {key}."
            )
        if min(steps, sections) < 1:
            raise ValueError(f"steps={steps} and sections={sections} must be positive.")
        count = len(modes.orders)
        mixing = jnp.zeros((sections, count, count))
        if key is not None:
            normal = jax.random.normal(key, mixing.shape)
            mixing = coupling * (normal + normal.mT) / math.sqrt(2)
        constants = jnp.asarray(np.diag(modes.constants), mixing.dtype)
        self.modes = modes
        self.length = length
        self.nonlinear_index = nonlinear_index
        self.loss = loss
        self.steps = steps
        self.order = order
        self.generator = Frozen(tuple(jnp.linalg.eigh(mixing + constants[None])))

    @property
    def facts(self) -> Facts:
        """Reciprocal as glass is; its couplings are real and symmetric."""
        linear, lossless = self.nonlinear_index == 0, self.loss == 0
        return Facts(
            linear=linear,
            reciprocal=linear,
            lossless=lossless,
            time_reversible=lossless and len(self.generator.value[0]) == 1,
        )

    def __call__(
        self,
        x: Complex[Array, "*batch modes"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch modes"]:  # √W
        """**Raises:** at run time, if the Kerr phase of a step is above 0.5 rad."""
        count = len(self.modes.orders)
        if x.shape[-1] != count:
            raise ValueError(
                f"The fiber has {count} modes, but the shape of `x` is {x.shape}."
            )
        real = jnp.finfo(x.dtype).dtype
        sections = jax.tree.map(lambda a: a.astype(real), self.generator.value)
        step = self.length / len(sections[0]) / self.steps
        if self.nonlinear_index == 0:
            return self._linear(x, sections)
        # In waists: single precision holds no fourth power of an inverse micrometer.
        waist = self.modes.waist
        profiles, weights = self.modes.quadrature()
        nodes = (
            jnp.asarray(profiles * waist, real),
            jnp.asarray(weights / waist**2, real),
        )
        strength = self.nonlinear_index * self.modes.vacuum_wavenumber * step / waist**2

        def kick(fraction):
            part = jnp.asarray(fraction * strength, real)

            def flow(state):
                a, worst = state
                a, most = kerr_coupled(a, *nodes, part)
                return a, jnp.maximum(worst, most)

            return flow

        def section(state, generator):
            def drift(fraction):
                matrix = self._advance(generator, fraction * step, x.dtype)
                return lambda state: (_times(matrix, state[0]), state[1])

            return split_step(drift, kick, state, self.steps, order=self.order), None

        start = x, jnp.zeros(x.shape[:-1], real)
        (out, worst), _ = lax.scan(section, start, sections)
        return eqx.error_if(
            out,
            jnp.any(worst > MOST_PHASE),
            f"the Kerr phase of a step is above {MOST_PHASE} rad: raise `steps` from "
            f"{self.steps}, to {2 * self.steps} or more, or lower the power.",
        )

    def _linear(self, x, sections):
        length = self.length / len(sections[0])

        def section(a, generator):
            return _times(self._advance(generator, length, a.dtype), a), None

        return lax.scan(section, x, sections)[0]

    def _advance(self, generator, length, dtype):
        """The symmetric matrix of a length, whose couplings are all alike."""
        values, vectors = generator
        decay = jnp.exp(jnp.asarray(-0.5 * self.loss * length, values.dtype))
        turn = polar(decay, values * length)
        vectors = vectors.astype(dtype)
        return jnp.matmul(vectors * turn[None], vectors.T, precision=_HIGHEST)


_HIGHEST = lax.Precision.HIGHEST


def _times(matrix, a):
    return jnp.einsum("nm,...m->...n", matrix, a, precision=_HIGHEST)


def _real_matmul(a, matrix):
    parts = [
        jnp.einsum("...m,mn->...n", part, matrix, precision=_HIGHEST)
        for part in (a.real, a.imag)
    ]
    return lax.complex(*parts)


def _row(values, like):
    return values.reshape((1,) * (like.ndim - 1) + values.shape)


def _power(field):
    return field.real**2 + field.imag**2
