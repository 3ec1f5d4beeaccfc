"""What the one nonlinear node of a delay loop makes of its feedback and its input."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._fast_angles import cos_sin


class AbstractDelayNode(eqx.Module):
    """A static nonlinearity: what it drives is filtered, delayed, and fed back.

    Numbers of a node are not trained, unless they are given as arrays.
    """

    @abc.abstractmethod
    def __call__(
        self, feedback: Float[Array, "*shape"], drive: Float[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        """The drive of the loop's filter; all signals are dimensionless."""


class SineNode(AbstractDelayNode):
    r"""A Mach–Zehnder modulator half open: $\sin(\alpha x + \beta J + \phi)$.

    At $\phi = 0$, the loop forgets its past while $\alpha < 1$.

    **Source:** Paquot *et al.*, *Sci. Rep.* 2, 287 (2012), doi:10.1038/srep00287.
    """

    gain: float | Float[Array, ""] = 0.8
    r"""Of the feedback, $\alpha$."""
    input_gain: float | Float[Array, ""] = 0.5
    r"""Of the input, $\beta$."""
    bias: float | Float[Array, ""] = 0.0
    r"""Phase of the modulator without a signal, $\phi$ (rad)."""

    def __call__(
        self, feedback: Float[Array, "*shape"], drive: Float[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        phase = self.gain * feedback + self.input_gain * drive + self.bias
        return cos_sin(phase)[1]


class IkedaNode(AbstractDelayNode):
    r"""Interference of light with light: $\beta\sin^2(x + \rho J + \Phi)$.

    The slope at $x$ is $\beta\sin(2x + 2\Phi)$; where it passes $-1$ at the fixed
    point of a fast node, the loop begins to alternate, with twice the delay as period.

    **Source:** Ikeda, *Opt. Commun.* 30, 257 (1979), doi:10.1016/0030-4018(79)90090-7;
    as a reservoir, Larger *et al.*, *Opt. Express* 20, 3241 (2012),
    doi:10.1364/OE.20.003241.
    """

    gain: float | Float[Array, ""] = 0.8
    r"""Of the loop, $\beta$."""
    input_gain: float | Float[Array, ""] = 0.5
    r"""Of the input, $\rho$ (rad)."""
    bias: float | Float[Array, ""] = 0.2
    r"""Phase without a signal, $\Phi$ (rad)."""

    def __call__(
        self, feedback: Float[Array, "*shape"], drive: Float[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        phase = feedback + self.input_gain * drive + self.bias
        return self.gain * cos_sin(phase)[1] ** 2


class MackeyGlassNode(AbstractDelayNode):
    r"""A current that is throttled: $\eta z / (1 + |z|^p)$, with $z = x + \gamma J$.

    **Valid for:** any $z$. Without the absolute value, which changes nothing where
    $z > 0$, an odd $p$ has a pole at $z = -1$.
    **Source:** Appeltant *et al.*, *Nat. Commun.* 2, 468 (2011),
    doi:10.1038/ncomms1476.
    """

    gain: float | Float[Array, ""] = 0.5
    r"""Of the loop, $\eta$."""
    input_gain: float | Float[Array, ""] = 0.05
    r"""Of the input, $\gamma$."""
    exponent: float | Float[Array, ""] = 1.0
    """How sharply the current is throttled, $p$."""

    def __call__(
        self, feedback: Float[Array, "*shape"], drive: Float[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        z = feedback + self.input_gain * drive
        # At zero, a power that is not whole has no derivative.
        size = jnp.where(z == 0, jnp.ones_like(z), jnp.abs(z))
        throttle = jnp.where(z == 0, jnp.zeros_like(z), size**self.exponent)
        return self.gain * z / (1 + throttle)
