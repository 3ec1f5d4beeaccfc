"""A phase mask and the free space behind it: one layer of a diffractive network."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, PRNGKeyArray, PyTree

from .._layer import AbstractReciprocalLayer, AbstractSymmetricLayer, Detect, Facts
from ._free_space import FreeSpace
from ._phase_mask import PhaseMask


class DiffractiveLayer(AbstractReciprocalLayer, AbstractSymmetricLayer):
    r"""The matrix $W\operatorname{diag}(e^{i\phi})$, with $W = W^\top$ the free space.

    A network is an `eqx.nn.Sequential` of these, with a `FreeSpace` before the first.

    **Source:** Lin et al., *Science* 361, 1004 (2018), doi:10.1126/science.aat8084.
    """

    mask: PhaseMask
    space: FreeSpace
    facts = Facts(
        linear=True, reciprocal=True, symmetric=True, phase_only=True, sinusoidal=True
    )
    example_ndim: ClassVar[int] = 2

    def __init__(self, mask: PhaseMask, space: FreeSpace):
        self.mask = mask
        self.space = space

    def __call__(
        self,
        x: Complex[Array, "*batch ny nx"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch ny nx"]:  # √W
        return self.propagate(self.modulate(x))

    def modulate(
        self, field: Complex[Array, "*batch ny nx"]
    ) -> Complex[Array, "*batch ny nx"]:
        """The field just after the mask."""
        return self.mask(field)

    def propagate(
        self, field: Complex[Array, "*batch ny nx"]
    ) -> Complex[Array, "*batch ny nx"]:
        """The free space alone, the same in both directions."""
        return self.space(field)

    def transmit(
        self, field: Complex[Array, "*batch ny nx"], detect: Detect
    ) -> tuple[Complex[Array, "*batch ny nx"], PyTree]:
        """Forwards; `detect` sees the field just after the mask."""
        at_mask = self.modulate(field)
        return self.propagate(at_mask), _one_plane(at_mask, detect)

    def transmit_back(
        self, field: Complex[Array, "*batch ny nx"], detect: Detect
    ) -> tuple[Complex[Array, "*batch ny nx"], PyTree]:
        """Backwards; `detect` sees the field on the same side of the mask."""
        at_mask = self.propagate(field)
        return self.modulate(at_mask), _one_plane(at_mask, detect)

    def cotangent(self, overlap: PyTree[Complex[Array, "..."]]) -> "DiffractiveLayer":
        r"""The phases' cotangent $-\operatorname{Im}\sum a\,d$, shaped as the layer."""
        phase = self.mask.phase
        phase_bar = -jnp.imag(overlap).reshape(phase.shape).astype(phase.dtype)
        return eqx.tree_at(lambda layer: layer.mask.phase, self, phase_bar)


def _one_plane(field, detect):
    readings = detect(field.reshape(*field.shape[:-2], -1))
    return jax.tree.map(lambda reading: reading[None], readings)
