"""Scattering backpropagation: gradients are products of measured amplitudes."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, Claim, Conditions, Exact, PhysicalCost
from .._scattering import AbstractScatteringLayer
from ._coherent_receiver import CoherentReceiver

PORTS: dict[str, str] = {
    "reciprocal": "its scattering matrix is not symmetric, so a probe at an output "
    "does not measure how light gets there from the tunable modes",
    "accessible": "it has tunable modes without a port (their `decay` is 0), where "
    "nothing can be measured",
}


class ScatteringBackprop(AbstractEstimator):
    r"""Every gradient of a linear network from the light that its outputs scatter.

    A change of the dynamical matrix changes the scattering matrix by

    $$\mathrm dS_{rp} = i\sum_{jk}\frac{(S - 1)_{rj}\,\mathrm dH_{jk}\,
    (S - 1)_{kp}}{\sqrt{\kappa_j\kappa_k}}$$

    so a detuning's gradient is a product of two measured elements, a coupling's of two
    pairs. Where $S$ is symmetric, $S_{rj} = S_{jr}$ comes from the probe at the output
    $r$, too: one run for each port that the output is read from, the same ones as for
    the output itself, and none for the tunable modes.

    Intrinsic loss changes nothing: the elements enter only with the decay into the
    ports that they were measured at, which must be known.

    **Arguments:** `receiver`: the noise of the measured elements, and so of the output,
    drawn only when the layer is called with a key. The elements of different ports are
    independent and their noise is circular, so that for a given $\bar y$ the gradient
    stays right in the mean.
    **Error:** rounding.
    **Source:** Wanjura, Marquardt, *Nat. Phys.* 20, 1434 (2024),
    doi:10.1038/s41567-024-02534-9.
    """

    claim: ClassVar[Claim] = Exact()
    conditions: ClassVar[Conditions] = Conditions(
        AbstractScatteringLayer, required=PORTS
    )

    receiver: CoherentReceiver | None = None

    def forward(
        self, layer: Any, x: Float[Array, "..."], *, key: PRNGKeyArray | None
    ) -> tuple[Inexact[Array, "..."], PyTree[Array]]:
        scattered = layer.scatter(x)
        if self.receiver is not None and key is not None:
            scattered = self.receiver.measured(scattered, key=key)
        return layer.readout(_between_probes(layer, scattered)), scattered

    def backward(
        self,
        layer: Any,
        x: Float[Array, "..."],
        residuals: PyTree[Array],
        y_bar: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Float[Array, "..."]]:
        del x, key
        read, pullback = jax.vjp(layer.readout, _between_probes(layer, residuals))
        (s_bar,) = pullback(y_bar.astype(read.dtype))
        one = np.eye(residuals.shape[-2])[:, np.asarray(layer.probes)]
        roots = np.sqrt(layer.port_decay())[:, None]
        one, roots = (
            jnp.broadcast_to(jnp.asarray(a, residuals.dtype), residuals.shape)
            for a in (one, roots)
        )
        through = (residuals - one) / roots
        return layer.cotangent(1j * (through @ s_bar), through)

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        scattered = eqx.filter_eval_shape(layer.scatter, x)
        modes, probes = scattered.shape[-2:]
        return PhysicalCost(
            runs=probes,
            measurements=2 * modes * probes,
            flops=8 * modes * probes**2 + 8 * probes * _entries(layer),
        )


def _between_probes(layer, scattered):
    return scattered[..., np.asarray(layer.probes), :]


def _entries(layer):
    """How many numbers are trained."""
    return sum(
        leaf.size for leaf in jax.tree.leaves(layer) if eqx.is_inexact_array(leaf)
    )
