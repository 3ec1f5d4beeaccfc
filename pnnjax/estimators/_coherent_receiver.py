"""The receiver that measures complex amplitudes of scattered light."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float, PRNGKeyArray

PLANCK = 6.62607015e-34  # J s, exact in the SI
SPEED_OF_LIGHT = 299792458.0  # m/s, exact in the SI


class CoherentReceiver(eqx.Module):
    r"""Shot noise of heterodyne detection, in units of the probe's amplitude.

    A field that is measured in the bandwidth $B$ with the quantum efficiency $\eta$ has
    circular Gaussian noise of the power $h\nu B/\eta$. So an element of a scattering
    matrix, the field over that of a probe of power $P$, has the variance
    $h\nu B / \eta P$, half of it in each quadrature.

    **Source:** Yuen, Chan, *Opt. Lett.* 8, 177 (1983), doi:10.1364/OL.8.000177.
    """

    power: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=1e-3)  # W
    bandwidth: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=1e6)  # Hz
    efficiency: Float[Array, ""] = eqx.field(
        converter=jnp.asarray, default=0.8
    )  # dimensionless
    wavelength: Float[Array, ""] = eqx.field(
        converter=jnp.asarray, default=1.55e-6
    )  # m

    @property
    def variance(self) -> Float[Array, ""]:  # dimensionless
        """Of an element of the scattering matrix, both quadratures together."""
        photon = PLANCK * SPEED_OF_LIGHT / self.wavelength
        return photon * self.bandwidth / (self.efficiency * self.power)

    def measured(
        self, scattered: Complex[Array, "..."], *, key: PRNGKeyArray
    ) -> Complex[Array, "..."]:
        """`scattered` with noise drawn from `key`."""
        shape, dtype = scattered.shape, scattered.real.dtype
        quadratures = jax.random.normal(key, (2, *shape), dtype)
        deviation = jnp.sqrt(self.variance / 2).astype(dtype)
        return scattered + lax.complex(*(deviation * quadratures))
