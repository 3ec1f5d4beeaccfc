"""An array of photodetectors: the power of each mode."""

from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from .._layer import AbstractLayer, Facts


def intensity(
    field: Inexact[Array, "..."],  # √W
) -> Float[Array, "..."]:  # W
    """The power $|z|^2$ of each element, for a complex or a real field."""
    return field.real**2 + field.imag**2


class Intensity(AbstractLayer):
    r"""Photodetectors without noise: power out (W), field in (√W).

    For $P = |z|^2$, $dP = 2\operatorname{Re}(z^* dz)$.
    """

    facts = Facts()

    def __call__(
        self,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "..."]:
        return intensity(x)
