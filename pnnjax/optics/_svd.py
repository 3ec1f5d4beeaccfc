"""Any matrix as light in two meshes with attenuators between."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact, PRNGKeyArray

from .._layer import AbstractBoundedLayer, Facts
from ._mesh import MZIMesh


class SVDMesh(AbstractBoundedLayer):
    r"""The matrix $g\,U \operatorname{diag}(t)\,V^\dagger$, of any shape.

    Light passes the mesh $V^\dagger$, then an attenuator in each of the modes that
    both sides have, then the mesh $U$; the attenuators are passive,
    $0 \le t \le 1$, which `project` restores. The gain $g$ is one fixed number.

    **Source:** Miller, *Photonics Research* 1, 1 (2013), doi:10.1364/PRJ.1.000001.
    """

    first: MZIMesh
    attenuation: Float[Array, " common"]
    second: MZIMesh
    gain: float

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        key: PRNGKeyArray,
        gain: float = 1.0,  # amplitude, not trained
    ):
        """Two Haar-random meshes of at least 2 modes; the attenuators are open."""
        keys = jax.random.split(key)
        self.first = MZIMesh(inputs, key=keys[0])
        self.second = MZIMesh(outputs, key=keys[1])
        self.attenuation = jnp.ones(min(inputs, outputs), self.first.theta.dtype)
        self.gain = gain

    @classmethod
    def from_matrix(cls, matrix: Inexact[Array | np.ndarray, "..."]) -> "SVDMesh":
        """The layer with this matrix: the gain is its largest singular value."""
        matrix = np.asarray(matrix)
        if matrix.ndim != 2 or min(matrix.shape) < 2:
            raise ValueError(
                f"The matrix has shape {matrix.shape}; both meshes need 2 modes or "
                "more: add rows or columns of zeros."
            )
        left, values, right = np.linalg.svd(matrix)
        gain = float(values[0])
        outputs, inputs = matrix.shape
        layer = cls(inputs, outputs, key=jax.random.key(0), gain=gain)
        parts = (
            MZIMesh.from_unitary(right),
            jnp.asarray(values / (gain or 1.0)),
            MZIMesh.from_unitary(left),
        )
        return eqx.tree_at(lambda s: (s.first, s.attenuation, s.second), layer, parts)

    @property
    def facts(self) -> Facts:
        return Facts(linear=True, reciprocal=True)

    def __call__(
        self,
        x: Inexact[Array, "*batch inputs"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch outputs"]:  # √W
        del key
        light = self.first(x)[..., : self.attenuation.size]
        scale = (self.gain * self.attenuation).astype(light.dtype)
        light = light * jnp.expand_dims(scale, range(light.ndim - 1))
        missing = self.second.gamma.size - self.attenuation.size
        light = jnp.pad(light, [(0, 0)] * (light.ndim - 1) + [(0, missing)])
        return self.second(light)

    def matrix(self) -> Complex[Array, "outputs inputs"]:
        """The transmission matrix: `layer(x)` is `matrix @ x`."""
        common = self.attenuation.size
        first, second = self.first.matrix()[:common], self.second.matrix()[:, :common]
        scale = (self.gain * self.attenuation).astype(second.dtype)
        return (second * scale[None]) @ first

    def project(self) -> "SVDMesh":
        """Attenuators that neither amplify nor change sign."""
        bounded = jnp.clip(self.attenuation, 0, 1)
        return eqx.tree_at(lambda layer: layer.attenuation, self, bounded)
