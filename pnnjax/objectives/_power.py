"""Cross-entropy of detected powers: two ways from watts to probabilities."""

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Inexact, Integer

from ._cross_entropy import cross_entropy
from ._labels import check_real, checked_labels


def power_shares(
    powers: Inexact[Array, "*batch classes"],  # W
) -> Float[Array, "*batch classes"]:
    r"""$P_c / \sum P$: what part of the light is on each detector.

    In the dark, equal parts, with a gradient of zero.

    **Raises:** `TypeError` if `powers` are complex.
    """
    check_real(powers)
    total = jnp.sum(powers, axis=-1, keepdims=True)
    lit = total > 0
    return jnp.where(lit, powers / jnp.where(lit, total, 1), 1 / powers.shape[-1])


class PowerSoftmax(eqx.Module):
    r"""Cross-entropy of the logits $s P_c / \sum P$ (nat), averaged over the examples.

    It does not change with the brightness of the laser. With all light on the right one
    of $C$ detectors it still is $\log(1 + (C - 1) e^{-s})$: the smaller $s$ is, the
    longer examples count that are already classified rightly.
    """

    scale: float | Float[Array, ""]
    """$s$, dimensionless."""

    def __init__(self, scale: float | Float[Array, ""] = 10.0):
        if not isinstance(scale, Tracer) and scale <= 0:
            raise ValueError(f"`scale` must be positive, but is {scale}.")
        self.scale = scale

    def __call__(
        self,
        y: Inexact[Array, "*batch classes"],  # W
        labels: Integer[Array, "*batch"],
    ) -> Float[Array, ""]:
        return cross_entropy(self.scale * power_shares(y), labels)


class PowerLikelihood(eqx.Module):
    r"""$-\log p_\text{label}$ (nat) of a detected photon, averaged over examples.

    $p_c = (1 - \epsilon) P_c / \sum P + \epsilon / C$ is the probability that a count
    is on detector $c$ of $C$. Readings below zero count as dark.

    **Source:** Bandyopadhyay *et al.*, *Nat. Photonics* 18, 1335 (2024),
    doi:10.1038/s41566-024-01567-z, with $\epsilon = 0$.
    """

    dark: float
    r"""$\epsilon$, the part of all counts that are dark ones; it bounds the loss."""

    def __init__(self, dark: float = 1e-3):
        if not 0 < dark < 1:
            raise ValueError(f"`dark` must be between 0 and 1, but is {dark}.")
        self.dark = dark

    def __call__(
        self,
        y: Inexact[Array, "*batch classes"],  # W
        labels: Integer[Array, "*batch"],
    ) -> Float[Array, ""]:
        check_real(y)
        labels = checked_labels(y, labels)
        shares = power_shares(jnp.maximum(y, 0))
        share = jnp.take_along_axis(shares, labels[..., None], axis=-1)
        return -jnp.log((1 - self.dark) * share + self.dark / y.shape[-1]).mean()
