"""Pieces of clothing by a diffractive network, as Lin et al. simulated it."""

import math
from typing import ClassVar

from jaxtyping import Array, Complex, Float

from .. import data
from ._d2nn import AbstractDiffractiveNetwork, Encoder


def full_turn(
    x: Float[Array, "..."],  # from 0 to 1
    power: float,  # W
    *,
    axis: int | tuple[int, ...],
) -> Complex[Array, "..."]:  # √W
    r"""`pnnjax.data.phase` of $2\pi x$: black and white are a whole turn apart."""
    return data.phase(2 * math.pi * x, power, axis=axis)


class FashionD2NN(AbstractDiffractiveNetwork):
    """The pieces are reliefs in glass, which shift the phase of light by up to a turn.

    About 81.13 % is published for five masks that shift phases only.
    """

    name: ClassVar[str] = "fashion-d2nn"
    summary: ClassVar[str] = "diffractive network, five phase masks, on Fashion-MNIST"
    reference: ClassVar[str] = (
        "Lin et al., Science 361, 1004 (2018), doi:10.1126/science.aat8084"
    )
    published: ClassVar[float | None] = 0.8113
    duration: ClassVar[float] = 300.0

    def dataset(self) -> data.Dataset:
        return data.fashion_mnist()

    def encoder(self) -> Encoder:
        return full_turn
