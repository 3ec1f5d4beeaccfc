"""One nonlinear node with delayed feedback, as a network of virtual nodes."""

import math
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._frozen import Frozen
from .._layer import AbstractLayer, Facts
from ._delay_node import AbstractDelayNode
from ._loop_filter import AbstractLoopFilter, LowPass, decaying_sum, step_weights


class DelayLine(NamedTuple):
    """All that a delay loop remembers."""

    signal: Float[Array, "*batch points"]
    """What is on the way, the oldest first."""
    filters: tuple[Float[Array, "*batch"], ...]
    """Of each mode of the node's filter."""


class DelayReservoir(AbstractLayer):
    r"""A loop whose node sees its own output of one delay ago, and the masked input.

    $x = h * f\bigl(x(t - \tau_D), J(t)\bigr)$, where $f$ is the `node` and $h$ its
    response, such as $\tau\dot x = f - x$. An input sample is held for $N$ node
    spacings $\theta$, and in the $i$-th of them $J = \sum_j m_{ij}u_j$ with the mask
    $m$; what is read at its end is virtual node $i$. The delay is $N + k$ spacings.

    Neighbors couple where the response takes about a spacing or more, and, for a node
    that responds at once, by the offset $k$: it then is
    $x_i(n) = f(x_{i-k}(n-1), J_i(n))$.

    With a key, Gaussian noise is added to each virtual node, and goes round.

    **Error:** of the second order in $\theta$ over `substeps` and the response time,
    by the feedback taken as straight in between; none for a node that responds at once.
    **Source:** Appeltant *et al.*, *Nat. Commun.* 2, 468 (2011),
    doi:10.1038/ncomms1476; the offset, Paquot *et al.*, *Sci. Rep.* 2, 287 (2012),
    doi:10.1038/srep00287.
    """

    node: AbstractDelayNode
    response: AbstractLoopFilter
    mask: Frozen[Array] | Float[Array, "nodes inputs"]
    delay: float = eqx.field(static=True)
    offset: int = eqx.field(static=True)
    substeps: int = eqx.field(static=True)
    noise: float
    facts: ClassVar[Facts] = Facts()

    def __init__(
        self,
        node: AbstractDelayNode,
        mask: Float[Array, "nodes inputs"],
        *,
        delay: float,  # s
        response: AbstractLoopFilter | None = None,
        offset: int = 1,
        substeps: int = 1,
        noise: float = 0.0,
        train_mask: bool = False,
    ):
        r"""A loop with as many virtual nodes and inputs as the mask has.

        **Arguments:**

        - `response`: of the node; it responds at once unless given.
        - `delay`: $\tau_D$, from the node back to itself.
        - `offset`: $k$, by how many spacings the delay is longer than an input sample.
        - `substeps`: points of the delay line in a spacing.
        - `noise`: its standard deviation, in the unit of $x$.
        - `train_mask`: leave the mask as a parameter; otherwise, nothing is trained.

        **Raises:** `ValueError` for what can't be built.
        """
        if not (delay > 0 and math.isfinite(delay)):
            raise ValueError(f"A delay must be positive, not {delay} s: try 1e-6.")
        if offset < 0 or substeps < 1:
            raise ValueError(
                "`offset` must be 0 or more and `substeps` 1 or more, but they are "
                f"{offset} and {substeps}."
            )
        if not (noise >= 0 and math.isfinite(noise)):
            raise ValueError(f"`noise` must be 0 or more, but is {noise}.")
        self.node = node
        self.response = LowPass(0.0) if response is None else response
        self.mask = mask if train_mask else Frozen(mask)
        self.delay = delay
        self.offset = offset
        self.substeps = substeps
        self.noise = noise

    @property
    def nodes(self) -> int:
        """How many virtual nodes there are."""
        return self._weights().shape[0]

    @property
    def spacing(self) -> float:
        """From one virtual node to the next (s)."""
        return self.delay / (self.nodes + self.offset)

    @property
    def period(self) -> float:
        """How long an input sample is held (s)."""
        return self.nodes * self.spacing

    def __call__(
        self,
        x: Float[Array, "*batch time inputs"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch time nodes"]:
        """From a loop without any signal."""
        return self.run(x, self.initial_state(x), key=key)[0]

    def initial_state(self, x: Float[Array, "*batch time inputs"]) -> DelayLine:
        """A loop without any signal, for inputs of this shape and dtype."""
        points = (self.nodes + self.offset) * self.substeps + 1
        batch = x.shape[:-2]
        still = jnp.zeros(batch, x.dtype)
        return DelayLine(
            jnp.zeros((*batch, points), x.dtype),
            tuple(still for _ in self.response.modes()),
        )

    def run(
        self,
        x: Float[Array, "*batch time inputs"],
        state: DelayLine,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "*batch time nodes"], DelayLine]:
        """Go on from a state: the virtual nodes after each input sample, and a state.

        **Raises:** `ValueError` if the mask is for another number of inputs.
        """
        weights = self._weights().astype(x.dtype)
        if x.shape[-1] != weights.shape[1]:
            raise ValueError(
                f"The mask is for {weights.shape[1]} inputs, but `x` has "
                f"{x.shape[-1]}: its shape is {x.shape}."
            )
        keys = None if key is None else jax.random.split(key, x.shape[-2])

        def step(state, now):
            sample, key = now
            return self._round(state, sample @ weights.T, key)

        state, nodes = jax.lax.scan(step, state, (jnp.moveaxis(x, -2, 0), keys))
        return jnp.moveaxis(nodes, 0, -2), state

    def _round(self, line, drive, key):
        """One input sample: every virtual node once."""
        count = drive.shape[-1] * self.substeps
        held = jnp.repeat(drive, self.substeps, axis=-1)
        late = self.node(line.signal[..., 1 : count + 1], held)
        parts, filters = [], []
        for mode, start in zip(self.response.modes(), line.filters, strict=True):
            step = self.spacing / self.substeps
            decay, first, last = step_weights(step, mode.time)
            push = last * late
            if first:
                push = push + first * self.node(line.signal[..., :count], held)
            course = decaying_sum(push, start, decay)
            filters.append(course[..., -1])
            parts.append(mode.weight * course)
        signal = sum(parts[1:], start=parts[0])
        if key is not None and self.noise:
            shake = self.noise * jax.random.normal(key, drive.shape, drive.dtype)
            signal = signal + jnp.repeat(shake, self.substeps, axis=-1)
        passed = jnp.concatenate([line.signal, signal], axis=-1)[..., count:]
        read = signal[..., self.substeps - 1 :: self.substeps]
        return DelayLine(passed, tuple(filters)), read

    def _weights(self):
        return self.mask.value if isinstance(self.mask, Frozen) else self.mask
