"""What is left of a memristor's drift near its ends."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class AbstractWindow(eqx.Module):
    """A factor of the rate at which the state moves, which ends that at its bounds."""

    @abc.abstractmethod
    def __call__(
        self, state: Float[Array, "*shape"], rising: Bool[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        """From 0 to 1 for a `state` from 0 to 1, which is `rising` or falls."""


class HardStop(AbstractWindow):
    """Free motion up to a wall: 1, but 0 for what stands at a bound and pushes on."""

    def __call__(
        self, state: Float[Array, "*shape"], rising: Bool[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        free = jnp.where(rising, state < 1, state > 0)
        return free.astype(state.dtype)


class Joglekar(AbstractWindow):
    r"""$f = 1 - (2x - 1)^{2p}$: zero at both ends, which no state ever leaves.

    **Source:** Joglekar and Wolf, *Eur. J. Phys.* 30, 661 (2009),
    doi:10.1088/0143-0807/30/4/001.
    """

    exponent: float = 1.0
    """$p$, at least 1."""

    def __check_init__(self):
        _at_least_one(self.exponent)

    def __call__(
        self, state: Float[Array, "*shape"], rising: Bool[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        del rising
        return 1 - ((2 * jnp.clip(state, 0, 1) - 1) ** 2) ** self.exponent


class Biolek(AbstractWindow):
    r"""$f = 1 - x^{2p}$ on the way up and $1 - (1 - x)^{2p}$ on the way down.

    Zero only at the end that the state moves to, so that it can come back.

    **Source:** Biolek, Biolek, Biolková, *Radioengineering* 18, 210 (2009).
    """

    exponent: float = 1.0
    """$p$, at least 1."""

    def __check_init__(self):
        _at_least_one(self.exponent)

    def __call__(
        self, state: Float[Array, "*shape"], rising: Bool[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        state = jnp.clip(state, 0, 1)
        covered = jnp.where(rising, state, 1 - state)
        return 1 - (covered**2) ** self.exponent


class Prodromakis(AbstractWindow):
    r"""$f = j\,\big(1 - [(x - \tfrac12)^2 + \tfrac34]^p\big)$, for any $p > 0$.

    The height of the middle, $j\,(1 - (3/4)^p)$, is free, and may exceed 1.

    **Source:** Prodromakis, Peh, Papavassiliou, Toumazou, *IEEE Trans. Electron
    Devices* 58, 3099 (2011), doi:10.1109/TED.2011.2158004.
    """

    exponent: float = 1.0
    """$p$."""
    scale: float = 1.0
    """$j$."""

    def __check_init__(self):
        if not (self.exponent > 0 and self.scale > 0):
            raise ValueError(
                "`exponent` and `scale` must be positive, such as 1: "
                f"{self.exponent} and {self.scale}."
            )

    def __call__(
        self, state: Float[Array, "*shape"], rising: Bool[Array, "*shape"]
    ) -> Float[Array, "*shape"]:
        del rising
        offset = jnp.clip(state, 0, 1) - 0.5
        return self.scale * (1 - (offset**2 + 0.75) ** self.exponent)


def _at_least_one(exponent: float) -> None:
    if not exponent >= 1:
        raise ValueError(f"`exponent` must be at least 1, but is {exponent}.")
