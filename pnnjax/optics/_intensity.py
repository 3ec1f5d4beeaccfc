"""An array of photodetectors: the power of each mode."""

from typing import ClassVar

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

    outputs: int | None
    facts: ClassVar[Facts] = Facts()

    def __init__(self, outputs: int | None = None):
        """Detectors on the first `outputs` modes; without, on all."""
        self.outputs = outputs

    def __call__(
        self,
        x: Inexact[Array, "*batch modes"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch outputs"]:
        if self.outputs is not None and self.outputs > x.shape[-1]:
            raise ValueError(
                f"{self.outputs} detectors need as many modes; there are {x.shape[-1]}."
            )
        return intensity(x[..., : self.outputs])
