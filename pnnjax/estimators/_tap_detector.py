"""The photodetectors that watch the light at each phase shifter."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

ELEMENTARY_CHARGE = 1.602176634e-19  # C, exact in the SI
BOLTZMANN = 1.380649e-23  # J/K, exact in the SI


class TapDetector(eqx.Module):
    r"""Shot and thermal noise of a power tap, referred to the power in the waveguide.

    A share $t$ of the power $P$ makes a photocurrent $I = R t P$ with the variance
    $2 q I B + 4 k T B / R_L$, so a reading of $P$ has the variance

    $$\frac{2 q B}{R t} P + \frac{4 k T B}{R_L R^2 t^2}.$$

    The tap's own loss is not part of the layer.

    **Source:** Saleh & Teich, *Fundamentals of Photonics*, 2nd ed. (2007), ch. 18.5.
    """

    share: Float[Array, ""] = eqx.field(
        converter=jnp.asarray, default=0.03
    )  # dimensionless
    responsivity: Float[Array, ""] = eqx.field(
        converter=jnp.asarray, default=1.0
    )  # A/W
    bandwidth: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=1e6)  # Hz
    temperature: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=300.0)  # K
    load: Float[Array, ""] = eqx.field(converter=jnp.asarray, default=1e4)  # Ω

    def power_variance(
        self,
        power: Float[Array, "..."],  # W
        readings: Float[Array, ""],  # dimensionless, how many are added up
    ) -> Float[Array, "..."]:  # W²
        """The variance of readings that add up to `power`."""
        dtype = power.dtype
        current_per_power = self.responsivity * self.share
        shot = 2 * ELEMENTARY_CHARGE * self.bandwidth / current_per_power
        thermal = 4 * BOLTZMANN * self.temperature * self.bandwidth / self.load
        floor = thermal / current_per_power**2
        return shot.astype(dtype) * power + floor.astype(dtype) * readings
