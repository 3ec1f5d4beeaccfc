"""How a unit responds to the force on it, and what that costs in energy."""

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact


class AbstractActivation(eqx.Module):
    r"""A unit's state $s = \rho(h)$ under the force $h$ of the others.

    It minimizes $G(s) - hs$, where $G' = \rho^{-1}$ and $G$ is convex.
    """

    rest: eqx.AbstractClassVar[float]
    """Where a unit begins."""
    holomorphic: eqx.AbstractClassVar[bool]
    """Whether it is analytic about the real axis."""

    @abc.abstractmethod
    def __call__(self, force: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        r"""$\rho(h)$."""

    @abc.abstractmethod
    def potential(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """$G(s)$ of each unit, up to a constant."""

    @abc.abstractmethod
    def net_force(
        self, state: Inexact[Array, "..."], force: Inexact[Array, "..."]
    ) -> Inexact[Array, "..."]:
        r"""$h - \rho^{-1}(s)$, or what a bound leaves of it."""


class HardSigmoid(AbstractActivation):
    r"""$\rho(h) = h$, held between 0 and 1; $G = s^2/2$.

    **Source:** Scellier & Bengio, *Front. Comput. Neurosci.* 11, 24 (2017),
    doi:10.3389/fncom.2017.00024.
    """

    rest: ClassVar[float] = 0.0
    holomorphic: ClassVar[bool] = False

    def __call__(self, force: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return jnp.clip(force, 0, 1)

    def potential(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return state**2 / 2

    def net_force(
        self, state: Inexact[Array, "..."], force: Inexact[Array, "..."]
    ) -> Inexact[Array, "..."]:
        return self(force) - state


class Sigmoid(AbstractActivation):
    r"""$\rho(h) = 1/(1 + e^{-a(h - c)})$; $G = cs + [s\ln s + (1-s)\ln(1-s)]/a$.

    With the default slope $a$ and center $c$ it is tangent to the hard sigmoid.

    **Source:** Hopfield, *PNAS* 81, 3088 (1984), doi:10.1073/pnas.81.10.3088.
    """

    slope: float = 4.0
    center: float = 0.5
    rest: ClassVar[float] = 0.5
    holomorphic: ClassVar[bool] = True

    def __call__(self, force: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return jax.nn.sigmoid(self.slope * (force - self.center))

    def potential(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        entropy = _x_log_x(state) + _x_log_x(1 - state)
        return self.center * state + entropy / self.slope

    def net_force(
        self, state: Inexact[Array, "..."], force: Inexact[Array, "..."]
    ) -> Inexact[Array, "..."]:
        def inverse(s):
            return self.center + (jnp.log(s) - jnp.log1p(-s)) / self.slope

        saturated = (state == 0) | (state == 1)
        return _net_force(self, inverse, state, force, saturated)


class Tanh(AbstractActivation):
    r"""$\rho(h) = \tanh h$; $G = s\operatorname{artanh} s + \ln(1 - s^2)/2$.

    **Source:** Hopfield, *PNAS* 81, 3088 (1984), doi:10.1073/pnas.81.10.3088.
    """

    rest: ClassVar[float] = 0.0
    holomorphic: ClassVar[bool] = True

    def __call__(self, force: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return jnp.tanh(force)

    def potential(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return (_x_log_x(1 + state) + _x_log_x(1 - state)) / 2

    def net_force(
        self, state: Inexact[Array, "..."], force: Inexact[Array, "..."]
    ) -> Inexact[Array, "..."]:
        saturated = (state == 1) | (state == -1)
        return _net_force(self, jnp.arctanh, state, force, saturated)


def _net_force(activation, inverse, state, force, saturated):
    """Rounding may have put a unit where only an infinite force could hold it."""
    inside = jnp.where(saturated, jnp.full_like(state, 0.5), state)
    return jnp.where(saturated, activation(force) - state, force - inverse(inside))


def _x_log_x(x: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
    return x * jnp.log(jnp.where(x == 0, jnp.ones_like(x), x))
