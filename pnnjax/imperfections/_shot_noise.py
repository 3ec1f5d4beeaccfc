"""Shot noise: light is detected in photons."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from .._layer import Facts
from ._imperfection import AbstractSignalImperfection, Number, positive

_PLANCK_TIMES_LIGHT = 6.62607015e-34 * 299792458  # J m, exact in the SI
_MANY = 1e4  # photons from where a Gaussian stands for the Poisson distribution


def shot_noise(
    power: Float[Array, "..."],  # W
    photons_per_watt: Number,  # 1/W, photoelectrons counted in the integration time
    key: PRNGKeyArray,
) -> Float[Array, "..."]:  # W
    r"""The power that a counter of $N$ photoelectrons reports: mean and variance $N$.

    Below $10^4$ counts they are drawn from the Poisson distribution, above from the
    Gaussian of the same mean and variance. The gradient is that of the power without
    noise.

    **Raises:** at run time, if a power is negative.
    **Valid for:** JAX's default keys, as `jax.random.poisson` takes no others.
    **Error:** a Gaussian has no skewness; there a Poisson distribution has below 1 %.
    **Source:** Loudon, *The Quantum Theory of Light* (3rd ed., 2000), ch. 6.
    """
    why = "Shot noise needs powers >= 0: detect the fields before it (`Intensity`)."
    power = eqx.error_if(power, power < 0, why)
    scale = jnp.asarray(photons_per_watt, power.dtype)
    mean = jax.lax.stop_gradient(power) * scale
    few, many = jax.random.split(key)
    counts = jax.random.poisson(few, jnp.minimum(mean, _MANY)).astype(power.dtype)
    spread = jnp.sqrt(mean) * jax.random.normal(many, mean.shape, mean.dtype)
    noise = jnp.where(mean < _MANY, counts - mean, spread)
    return power + noise / scale


class ShotNoise(AbstractSignalImperfection):
    r"""Detection of the output powers in photons; none without a key.

    A power $P$ (W) gives $N = \eta P T \lambda / (h c)$ photoelectrons on average.

    **Arguments:** `wavelength` $\lambda$ (m), `integration_time` $T$ (s),
    `quantum_efficiency` $\eta$ in (0, 1].
    """

    wavelength: Number
    integration_time: Number
    quantum_efficiency: Number = 1.0

    def __check_init__(self):
        positive("wavelength", self.wavelength)
        positive("integration_time", self.integration_time)
        positive("quantum_efficiency", self.quantum_efficiency)
        efficiency = self.quantum_efficiency
        if isinstance(efficiency, float | int) and efficiency > 1:
            raise ValueError(f"`quantum_efficiency` is in (0, 1]: {efficiency}.")

    @property
    def photons_per_watt(self) -> Number:
        """Photoelectrons counted per detected watt (1/W)."""
        photons = self.integration_time * (self.wavelength / _PLANCK_TIMES_LIGHT)
        return self.quantum_efficiency * photons

    def before(
        self, x: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> Inexact[Array, "..."]:
        return x

    def after(
        self, y: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> Inexact[Array, "..."]:
        if jnp.iscomplexobj(y):
            raise TypeError(
                "`ShotNoise` acts on detected powers (W), and this layer gives complex "
                "fields: detect them first, with `pnn.optics.Intensity` at the end of "
                "the stack."
            )
        return y if key is None else shot_noise(y, self.photons_per_watt, key)

    def facts(self, inside: Facts) -> Facts:
        return inside._replace(lossless=False, time_reversible=False)
