"""Drift compensation: one digital factor for all that a crossbar's columns say."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class DriftCompensation(eqx.Module):
    r"""Scale by what the whole crossbar has lost: $\alpha = \sum G(t_r) / \sum G(t)$.

    Now and then, all rows are driven at once and all the currents added up. The ratio
    to the sum when the crossbar was new multiplies the outputs until the next time.

    **Arguments:** `reference_time` $t_r$, when that was (s after programming).
    **Valid for:** differential pairs, whose weights fall with their conductances.
    **Source:** Joshi et al., *Nat. Commun.* 11, 2473 (2020),
    doi:10.1038/s41467-020-16108-9.
    """

    reference_time: float = 20.0

    def __check_init__(self):
        if not self.reference_time > 0:
            raise ValueError(
                "`reference_time` must be positive, such as 20 s, not "
                f"{self.reference_time}."
            )

    def factor(
        self, before: Float[Array, "..."], now: Float[Array, "..."]
    ) -> Float[Array, ""]:
        r"""$\alpha$, of conductances as two calibrations read them."""
        smallest = jnp.finfo(now.dtype).tiny
        return jnp.sum(before) / jnp.maximum(jnp.sum(now), smallest)
