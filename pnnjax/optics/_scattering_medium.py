"""Scattering media, known by the statistics of their transmission matrices."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, Inexact, PRNGKeyArray

from .._frozen import Frozen
from .._layer import AbstractLayer, Facts


def gaussian_medium(
    outputs: int,
    inputs: int,
    transmittance: float,
    *,
    key: PRNGKeyArray,
) -> Complex[Array, "outputs inputs"]:
    r"""Independent complex Gaussian elements, $\langle|t|^2\rangle = T/N_\text{out}$.

    Of a thick diffuser of which few channels are seen, or controlled. One input makes
    speckle of contrast 1; the squared singular values follow Marchenko and Pastur.

    **Source:** Popoff et al., *Phys. Rev. Lett.* 104, 100601 (2010),
    doi:10.1103/PhysRevLett.104.100601.
    """
    _check(transmittance)
    return math.sqrt(transmittance / outputs) * _normal(key, (outputs, inputs))


def diffusive_medium(
    modes: int,
    transmittance: float,
    *,
    key: PRNGKeyArray,
) -> Complex[Array, "modes modes"]:
    r"""All channels of a lossless diffusive medium, $t = U\sqrt\tau\,V$.

    $U$ and $V$ are Haar-random. The transmission eigenvalues have the density

    $$p(\tau) = \frac{\ell}{2\tau\sqrt{1 - \tau}}, \qquad
    \cosh^{-2}\!\tfrac1\ell < \tau < 1,$$

    of closed and open channels: $\tau = \cosh^{-2} x$, with $x$ equally spaced up to
    $1/\ell$, where $\ell \tanh(1/\ell)$ is the mean `transmittance`.

    **Valid for:** the diffusive regime, $1/N \ll \ell \ll 1$: no localization, no
    ballistic light, isotropic scattering.
    **Source:** Dorokhov, *Solid State Commun.* 51, 381 (1984); reviewed by Rotter and
    Gigan, *Rev. Mod. Phys.* 89, 015005 (2017), doi:10.1103/RevModPhys.89.015005,
    arXiv:1702.05395.
    """
    _check(transmittance)
    left, right = jax.random.split(key)
    depths = (np.arange(modes) + 0.5) / (modes * _mean_free_path(transmittance))
    amplitudes = 2 * np.exp(-depths) / (1 + np.exp(-2 * depths))
    vectors = haar_unitary(modes, key=left) * amplitudes[None].astype(complex)
    return _product(vectors, haar_unitary(modes, key=right))


def reflecting_medium(
    modes: int,
    reflectance: float,
    *,
    key: PRNGKeyArray,
) -> Complex[Array, "modes modes"]:
    r"""Reflection of a reciprocal medium, $r = \sqrt R\,U U^\top$, symmetric.

    $U$ is Haar-random, so that $r/\sqrt R$ is of the circular orthogonal ensemble:
    light comes back where it came from twice as strong as elsewhere, which is coherent
    backscattering.

    **Source:** Beenakker, *Rev. Mod. Phys.* 69, 731 (1997),
    doi:10.1103/RevModPhys.69.731.
    """
    _check(reflectance)
    vectors = haar_unitary(modes, key=key)
    return math.sqrt(reflectance) * _product(vectors, vectors.T)


@partial(jax.jit, static_argnames="modes")
def haar_unitary(modes: int, *, key: PRNGKeyArray) -> Complex[Array, "modes modes"]:
    """A unitary matrix of uniform distribution.

    **Source:** Mezzadri, *Notices AMS* 54, 592 (2007), arXiv:math-ph/0609050.
    """
    q, r = jnp.linalg.qr(_normal(key, (modes, modes)))
    diagonal = jnp.diagonal(r)
    phases = diagonal / jnp.abs(diagonal).astype(diagonal.dtype)
    return q * phases[None]


class ScatteringMedium(AbstractLayer):
    """A fixed matrix from incoming to outgoing fields; nothing is trained."""

    matrix: Frozen[Complex[Array, "outputs inputs"]]
    facts = Facts(linear=True, reciprocal=True)

    def __init__(self, matrix: Complex[Array, "outputs inputs"]):
        """`matrix`: measured, or of one of the three functions above."""
        self.matrix = Frozen(matrix)

    def __call__(
        self,
        x: Inexact[Array, "*batch inputs"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch outputs"]:  # √W
        field = _complex(x)
        return _product(field, self.matrix.value.astype(field.dtype).T)


class StreamedScatteringMedium(AbstractLayer):
    """A Gaussian medium that is never stored: its rows are drawn anew at each call.

    The same rows each time, so that it is a fixed medium, and in the backward pass too.
    The memory is that of `block` rows; the time that of drawing all elements, measured
    as 2.3 s of a core for 10,000 by 10,000. Another `block` is another medium.
    """

    seed: Frozen[PRNGKeyArray]
    outputs: int
    transmittance: float
    block: int
    facts = Facts(linear=True, reciprocal=True)

    def __init__(
        self,
        outputs: int,
        transmittance: float = 1.0,
        *,
        key: PRNGKeyArray,
        block: int = 16,
    ):
        """As many inputs as the field has.

        **Raises:** `ValueError` if `block` does not divide `outputs`.
        """
        _check(transmittance)
        if block < 1 or outputs % block:
            raise ValueError(
                f"`block` is {block}, which does not divide the {outputs} outputs: "
                f"{math.gcd(outputs, 16)} does."
            )
        self.seed = Frozen(key)
        self.outputs, self.transmittance, self.block = outputs, transmittance, block

    def __call__(
        self,
        x: Inexact[Array, "*batch inputs"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch outputs"]:  # √W
        field, blocks = _complex(x), self.outputs // self.block
        size = math.sqrt(self.transmittance / self.outputs)

        # Rows are drawn again in the backward pass: keeping them is what is avoided.
        @jax.checkpoint
        def rows(field, number):
            own = jax.random.fold_in(self.seed.value, number)
            rows = _normal(own, (self.block, field.shape[-1]), field.dtype)
            return _product(field, size * rows.T)

        def step(_, number):
            return None, rows(field, number)

        _, parts = lax.scan(step, None, jnp.arange(blocks))
        return jnp.moveaxis(parts, 0, -2).reshape(*field.shape[:-1], self.outputs)


def speckle_contrast(
    intensity: Float[Array, "..."],
) -> Float[Array, ""]:
    """Standard deviation over mean: 1 where the field is complex Gaussian."""
    return jnp.std(intensity) / jnp.mean(intensity)


def _normal(key, shape, dtype=complex):
    return jax.random.normal(key, shape, dtype)


def _product(a, b):
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def _complex(x):
    return x if jnp.iscomplexobj(x) else lax.complex(x, jnp.zeros_like(x))


def _mean_free_path(transmittance: float) -> float:
    r"""$\ell$ of $\ell \tanh(1/\ell) = T$, by bisection."""
    low, high = transmittance, 1.0
    while high * math.tanh(1 / high) < transmittance:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        below = middle * math.tanh(1 / middle) < transmittance
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2


def _check(share: float) -> None:
    if not 0 < share < 1 + 1e-12:
        raise ValueError(
            f"the transmittance or reflectance must be above 0 and at most 1, not "
            f"{share}."
        )
