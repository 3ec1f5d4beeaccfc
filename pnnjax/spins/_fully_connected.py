"""A Hopfield network in which every unit is coupled to every other one."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from .._layer import AbstractClampableLayer, Facts
from ..integrators import AbstractRelaxation, FixedSteps
from ._activation import AbstractActivation, HardSigmoid
from ._hopfield import blend

Units = Inexact[Array, "*batch units"]


class FullyConnectedHopfield(AbstractClampableLayer):
    r"""Units with a symmetric coupling $J$ among all, driven by the input through $W$.

    $$E = \sum_i G(s_i) - \tfrac12 s^\top J s - (xW + b)^\top s$$

    with the potential $G$ of the activation, dimensionless. The last `outputs` units
    are read. All move at once, by a share `rate` of the way to where the force on them
    would hold them: the energy falls if that is small enough, always for
    $\text{rate} < 2/(1 + \rho'_\text{max}\lVert J\rVert)$.

    What is trained are the couplings above the diagonal: $J$ stays symmetric.

    **Source:** Hopfield, *PNAS* 81, 3088 (1984), doi:10.1073/pnas.81.10.3088.
    """

    pairs: Float[Array, " pairs"]
    """$J_{ij}$ for $i < j$, row by row."""
    input_weight: Float[Array, "inputs units"]
    bias: Float[Array, " units"]
    activation: AbstractActivation
    relaxation: AbstractRelaxation
    rate: float
    outputs: int = eqx.field(static=True)

    def __init__(
        self,
        coupling: Float[Array, "units units"],
        input_weight: Float[Array, "inputs units"],
        bias: Float[Array, " units"],
        outputs: int,
        *,
        activation: AbstractActivation = HardSigmoid(),
        relaxation: AbstractRelaxation = FixedSteps(40, 20),
        rate: float = 0.5,
    ):
        """Couple by a given matrix.

        **Raises:** `ValueError` if `coupling` is not symmetric or couples a unit to
        itself, naming the entry; for a number of outputs or a `rate` that can't be.
        """
        units = len(bias)
        if not 1 <= outputs <= units:
            raise ValueError(f"`outputs` must be 1 to {units} units, not {outputs}.")
        if not 0 < rate <= 1:
            raise ValueError(f"`rate` must be above 0 and at most 1, not {rate}.")
        self.pairs = _checked(coupling)[np.triu_indices(units, 1)]
        self.input_weight = input_weight
        self.bias = bias
        self.activation = activation
        self.relaxation = relaxation
        self.rate = rate
        self.outputs = outputs

    @classmethod
    def random(
        cls,
        inputs: int,
        units: int,
        outputs: int,
        *,
        key: PRNGKeyArray,
        activation: AbstractActivation = HardSigmoid(),
        relaxation: AbstractRelaxation = FixedSteps(40, 20),
        rate: float = 0.5,
    ) -> "FullyConnectedHopfield":
        r"""Normal couplings of variance $1/(4n)$, so that $\lVert J\rVert$ is about 1,
        and inputs of variance $1/n_\text{in}$; no bias.
        """
        among, into = jax.random.split(key)
        upper = jnp.triu(jax.random.normal(among, (units, units)), 1)
        weight = jax.random.normal(into, (inputs, units)) / math.sqrt(inputs)
        return cls(
            (upper + upper.T) / math.sqrt(4 * units),
            weight,
            jnp.zeros_like(weight[0]),
            outputs,
            activation=activation,
            relaxation=relaxation,
            rate=rate,
        )

    @property
    def facts(self) -> Facts:
        return Facts(
            conservative=True, smooth=True, holomorphic=self.activation.holomorphic
        )

    @property
    def coupling(self) -> Float[Array, "units units"]:
        """The symmetric matrix, with nothing on its diagonal."""
        units = len(self.bias)
        upper = jnp.zeros((units, units), self.pairs.dtype)
        upper = upper.at[np.triu_indices(units, 1)].set(self.pairs)
        return upper + upper.T

    def __call__(
        self, x: Float[Array, "*batch inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch outputs"]:
        return self.readout(self.relax(self.initial_state(x, key=key), x, None))

    def initial_state(
        self, x: Float[Array, "*batch inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch units"]:
        shape = (*x.shape[:-1], len(self.bias))
        return jnp.full(shape, self.activation.rest, x.dtype)

    def relax(
        self,
        state: Units,
        x: Float[Array, "*batch inputs"],
        nudge: Inexact[Array, "*batch outputs"] | None,
    ) -> Units:
        force = self._external(x)
        if nudge is not None:
            unread = jnp.zeros(
                (*nudge.shape[:-1], len(self.bias) - self.outputs), nudge.dtype
            )
            force = force.astype(nudge.dtype)
            force = force - jnp.concatenate([unread, nudge], axis=-1)
        return self._settle(state.astype(force.dtype), force, nudge is not None, None)

    def relax_clamped(
        self,
        state: Units,
        x: Float[Array, "*batch inputs"],
        output: Float[Array, "*batch outputs"],
    ) -> Units:
        return self._settle(state, self._external(x), True, output)

    def readout(self, state: Units) -> Inexact[Array, "*batch outputs"]:
        return state[..., -self.outputs :]

    def residual(self, state: Units, x: Float[Array, "*batch inputs"]) -> Units:
        force = self._external(x).astype(state.dtype)
        force = force + state @ self.coupling.astype(state.dtype)
        return self.activation.net_force(state, force)

    def energy(
        self, state: Units, x: Float[Array, "*batch inputs"]
    ) -> Inexact[Array, "*batch"]:
        force = self._external(x).astype(state.dtype)
        force = force + state @ self.coupling.astype(state.dtype) / 2
        return jnp.sum(self.activation.potential(state) - force * state, axis=-1)

    def _external(self, x):
        drive = x @ self.input_weight.astype(x.dtype)
        return drive + jnp.broadcast_to(self.bias.astype(x.dtype), drive.shape)

    def _settle(self, state, external, nudged, output):
        coupling = self.coupling.astype(state.dtype)

        def held(state):
            if output is None:
                return state
            return jnp.concatenate([state[..., : -self.outputs], output], axis=-1)

        def step(state):
            response = self.activation(external + state @ coupling)
            return held(blend(state, response, self.rate))

        return self.relaxation(step, held(state), nudged=nudged)


def _checked(coupling: Float[Array, "units units"]) -> Float[Array, "units units"]:
    rule = "The coupling must be symmetric, with zeros on its diagonal"
    if isinstance(coupling, Tracer):
        wrong = (coupling != coupling.T) | (jnp.eye(len(coupling)) * coupling != 0)
        return eqx.error_if(coupling, wrong, f"{rule}.")
    values = np.asarray(coupling)
    size = np.abs(values).max(initial=0)
    far = np.abs(values - values.T) > 8 * np.finfo(values.dtype).eps * size
    if far.any():
        i, j = (int(k) for k in np.argwhere(far)[0])
        raise ValueError(
            f"{rule}, but coupling[{i}, {j}] = {values[i, j]} and "
            f"coupling[{j}, {i}] = {values[j, i]}. `AsymmetricNetwork` has two."
        )
    if np.diag(values).any():
        i = int(np.argmax(np.diag(values) != 0))
        raise ValueError(f"{rule}, but coupling[{i}, {i}] = {values[i, i]}.")
    return coupling
