"""Contract 1, for nonlinear modes that scatter light."""

import abc
from typing import Any

from jaxtyping import Array, Complex, Inexact

from ._layer import AbstractLayer


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
