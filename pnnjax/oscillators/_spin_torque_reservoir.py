"""One spin-torque oscillator as many neurons, one after the other in time."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._frozen import Frozen
from .._layer import AbstractLayer, Facts
from ._auto_oscillator import power_after


class SpinTorqueReservoir(AbstractLayer):
    r"""The amplitude of an oscillator whose current follows the masked input.

    An input sample is held for $n$ intervals $\theta$. In the $k$-th of them the
    supercriticality is $\zeta + \sum_j m_{kj}u_j$ with the mask $m$, and node $k$ is
    the amplitude $\sqrt p$ at its end. It remembers what it has not yet relaxed from,
    at a rate of $2\Gamma_G(\zeta - 1)$: the nodes of that time are coupled.

    With a key, each reading has noise. Nothing is trained.

    **Error:** rounding only, see `power_after`.
    **Source:** Torrejon *et al.*, *Nature* 547, 428 (2017), doi:10.1038/nature23011.
    """

    mask: Frozen[Float[Array, "nodes inputs"]]  # dimensionless, in supercriticality
    interval: float  # s
    supercriticality: float
    damping: float  # rad/s
    nonlinear_damping: float
    thermal: float  # 1/s
    noise: float
    facts: ClassVar[Facts] = Facts()

    def __init__(
        self,
        mask: Float[Array, "nodes inputs"],
        interval: float,  # s
        *,
        damping: float,  # rad/s
        nonlinear_damping: float,  # dimensionless
        supercriticality: float = 2.0,  # dimensionless
        thermal: float = 0.0,  # 1/s
        noise: float = 0.0,  # dimensionless
    ):
        r"""As many nodes and inputs as the mask has; its scale is that of the input.

        **Arguments:** `interval`: $\theta$; `damping`, `nonlinear_damping`: $\Gamma_G$
        and $Q$; `thermal`: see `power_after`, more than zero where the current falls
        below the threshold; `noise`: standard deviation of a reading.
        **Raises:** `ValueError` for what can't be built.
        """
        if not (interval > 0 and damping > 0 and supercriticality > 1):
            raise ValueError(
                "`interval` and `damping` must be positive and `supercriticality` "
                f"above 1, but they are {interval} s, {damping} rad/s and "
                f"{supercriticality}."
            )
        if thermal < 0 or noise < 0:
            raise ValueError(
                f"`thermal` and `noise` can't be negative: {thermal} 1/s, {noise}."
            )
        self.mask = Frozen(mask)
        self.interval = interval
        self.supercriticality = supercriticality
        self.damping = damping
        self.nonlinear_damping = nonlinear_damping
        self.thermal = thermal
        self.noise = noise

    def __call__(
        self,
        x: Float[Array, "*batch time inputs"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch time nodes"]:
        """From the stationary oscillation."""
        return self.run(x, self.initial_state(x), key=key)[0]

    def initial_state(
        self, x: Float[Array, "*batch time inputs"]
    ) -> Float[Array, "*batch"]:
        """The power of the stationary oscillation, for inputs of this shape."""
        growth = self.damping * (self.supercriticality - 1)
        limit = 2 * self.damping * (self.supercriticality + self.nonlinear_damping)
        power = (growth + (growth**2 + limit * self.thermal) ** 0.5) / limit
        return power * jnp.ones(x.shape[:-2], x.dtype)

    def run(
        self,
        x: Float[Array, "*batch time inputs"],
        state: Float[Array, "*batch"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "*batch time nodes"], Float[Array, "*batch"]]:
        """Go on from a power: the amplitudes, and the power at the end.

        **Raises:** `ValueError` if the mask is for another number of inputs.
        """
        mask = self.mask.value.astype(x.dtype)
        if x.shape[-1] != mask.shape[1]:
            raise ValueError(
                f"The mask is for {mask.shape[1]} inputs, but `x` has {x.shape[-1]}: "
                f"its shape is {x.shape}."
            )
        current = self.supercriticality + jnp.matmul(x, mask.T)
        in_turn = jnp.moveaxis(current.reshape(*x.shape[:-2], -1), -1, 0)

        def step(power, current):
            power = power_after(
                power,
                current,
                self.interval,
                damping=self.damping,
                nonlinear_damping=self.nonlinear_damping,
                thermal=self.thermal,
            )
            return power, power

        end, powers = lax.scan(step, state, in_turn, unroll=4)
        nodes = jnp.sqrt(jnp.moveaxis(powers, 0, -1)).reshape(current.shape)
        if key is not None and self.noise:
            nodes = nodes + self.noise * jax.random.normal(key, nodes.shape, x.dtype)
        return nodes, end
