"""Contract 1, for modes that scatter light."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, Complex, Float, Inexact

from ._layer import AbstractLayer


class AbstractScatteringLayer(AbstractLayer):
    r"""Linear modes in a steady state, known by what their ports scatter.

    $S = 1 - i\sqrt\kappa\,(\omega - H)^{-1}\sqrt\kappa$: one port a mode, $H$ from x.
    """

    probes: eqx.AbstractVar[tuple[int, ...]]
    """The ports between which the output is read, as their modes are counted."""

    @abc.abstractmethod
    def port_decay(self) -> Any:
        r"""$\kappa$ of each mode (rad/s), known beforehand."""

    @abc.abstractmethod
    def scatter(self, x: Float[Array, "..."]) -> Complex[Array, "*batch modes probes"]:
        """`S[r, p]`: what leaves every port for a unit field sent into a probe's."""

    @abc.abstractmethod
    def readout(self, scattered: Complex[Array, "..."]) -> Inexact[Array, "..."]:
        """The output, from what is scattered between probes: `S[probes, probes]`."""

    @abc.abstractmethod
    def cotangent(
        self, left: Complex[Array, "..."], right: Complex[Array, "..."]
    ) -> tuple["AbstractScatteringLayer", Float[Array, "..."]]:
        r"""Of the parameters and x, of $\operatorname{Re}\sum_q l_{jq}H_{jk}r_{kq}$."""


class AbstractNonlinearScatteringLayer(AbstractLayer):
    r"""Nonlinear modes in a steady state, one port each: a port's response to light.

    $0 = -i(H - \omega)a - i f(a) - \sqrt\kappa\,a_\text{in}$ and $a_\text{out} =
    a_\text{in} + \sqrt\kappa\,a$.
    """

    @abc.abstractmethod
    def port_decay(self) -> Any:
        r"""$\kappa$ of each mode (rad/s), known beforehand."""

    @abc.abstractmethod
    def incoming(self, x: Inexact[Array, "..."]) -> Complex[Array, "*batch modes"]:
        """What the input sends into the ports (√W)."""

    @abc.abstractmethod
    def scatter(
        self, incoming: Complex[Array, "*batch modes"]
    ) -> Complex[Array, "*batch modes"]:
        """What leaves the ports once the modes have settled (√W)."""

    @abc.abstractmethod
    def readout(
        self, outgoing: Complex[Array, "*batch modes"]
    ) -> Inexact[Array, "..."]:
        """What the output sensors show."""

    @abc.abstractmethod
    def cotangent(
        self,
        left: Complex[Array, "*batch modes"],
        right: Complex[Array, "*batch modes"],
    ) -> "AbstractNonlinearScatteringLayer":
        r"""The parameters' cotangent of $\operatorname{Re}\sum l_j\,H_{jk}\,r_k$."""
