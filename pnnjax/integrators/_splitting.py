"""Symmetric compositions of exact flows: symplectic, and reversible to rounding."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

Visit = Callable[[Any, int, PyTree, float], Any]
"""`visit(carry, part, drive, duration)`: let one part act for `duration` (s)."""
Flow = Callable[[Any, PyTree, float], Any]
"""`flow(state, drive, duration)`: exact, and the same backwards in time."""


def symmetric_stages(parts: int, order: int = 2) -> list[tuple[int, float]]:
    r"""Which part acts, and for which fraction of the step: the same from both ends.

    Order 2 is Strang's $e^{hA/2}e^{hB}e^{hA/2}$, for any number of parts. Order 4 is
    three of them, of lengths $w_1, w_0, w_1$ with $w_1 = 1/(2 - 2^{1/3})$ and
    $w_0 = 1 - 2w_1$, which goes backwards in the middle.

    **Raises:** `ValueError` for another order.
    **Source:** Strang, *SIAM J. Numer. Anal.* 5, 506 (1968), doi:10.1137/0705041;
    Yoshida, *Phys. Lett. A* 150, 262 (1990), doi:10.1016/0375-9601(90)90092-3.
    """
    if order not in (2, 4):
        raise ValueError(f"`order` must be 2 or 4, but is {order}.")
    way = [(part, 0.5) for part in range(parts - 1)]
    strang = [*way, (parts - 1, 1.0), *reversed(way)]
    outer = 1 / (2 - 2 ** (1 / 3))
    lengths = [1.0] if order == 2 else [outer, 1 - 2 * outer, outer]
    stages = []
    for length in lengths:
        for part, fraction in strang:
            share = length * fraction
            if stages and stages[-1][0] == part:
                share += stages.pop()[1]
            stages.append((part, share))
    return stages


class Splitting(eqx.Module):
    """Equal steps of a symmetric composition, and when the outputs are read.

    **Arguments:**

    - `duration` (s) and number of `steps`.
    - `order` of the error in the step: 2 or 4.
    - `readings`: how often the outputs are read, at equal distances, the last time at
        the end. `None`: only then, and without a time axis.

    **Raises:** `ValueError` for a duration or a count that is not positive, and for
    `readings` that do not divide `steps`.
    **Error:** the flow is symplectic and time-reversible whatever the step; its energy
    stays within a bound that falls as step**order.
    """

    duration: float
    steps: int = eqx.field(static=True)
    order: int = eqx.field(static=True)
    readings: int | None = eqx.field(static=True)

    def __init__(
        self,
        duration: float,  # s
        steps: int,
        *,
        order: int = 2,
        readings: int | None = None,
    ):
        if not 0 < duration < float("inf") or steps < 1:
            raise ValueError(
                "A motion takes a positive time and at least one step, not "
                f"duration={duration} s, steps={steps}."
            )
        if readings is not None and (readings < 1 or steps % readings):
            raise ValueError(
                f"`readings` must divide the {steps} steps, but is {readings}: take "
                f"{_divisor(steps, readings)}."
            )
        symmetric_stages(1, order)
        self.duration = float(duration)
        self.steps = steps
        self.order = order
        self.readings = readings

    @property
    def dt(self) -> float:
        """One step (s)."""
        return self.duration / self.steps

    @property
    def every(self) -> int:
        """Steps between two readings."""
        return self.steps // self.blocks_count

    @property
    def blocks_count(self) -> int:
        """Times at which the outputs are read."""
        return self.readings or 1

    def run(
        self,
        flows: Sequence[Flow],
        state: PyTree[Array],
        drive: PyTree[Array],
        readout: Callable[[Any], Array],
    ) -> tuple[PyTree[Array], Array]:
        """The final state, and what `readout` shows of `"*batch outputs"`.

        `drive` has a leading axis of steps, in each of which it is constant. For a
        derivative, the states and matrix products of all steps are kept, and the rest
        is found again.
        """

        def until_read(state, drives):
            state, _ = jax.lax.scan(step, state, drives, self.every)
            return state, readout(state)

        @functools.partial(
            jax.checkpoint, prevent_cse=False, policy=_KEPT_FOR_THE_WAY_BACK
        )
        def step(state, drive):
            return self.step(_by(flows), len(flows), state, drive), None

        blocks = self.blocks(drive)
        state, y = jax.lax.scan(until_read, state, blocks, self.blocks_count)
        return state, self.read(y)

    def trajectory(
        self, flows: Sequence[Flow], state: PyTree[Array], drive: PyTree[Array]
    ) -> PyTree[Array]:
        """The states after each step, along a new leading axis."""

        def step(state, drive):
            state = self.step(_by(flows), len(flows), state, drive)
            return state, state

        return jax.lax.scan(step, state, drive, self.steps)[1]

    def step(self, visit: Visit, parts: int, carry: Any, drive: PyTree) -> Any:
        """One step: every part in its turn, by `visit`."""
        for part, fraction in symmetric_stages(parts, self.order):
            carry = visit(carry, part, drive, fraction * self.dt)
        return carry

    def blocks(self, series: PyTree[Array]) -> PyTree[Array]:
        """A leading axis of steps as one of readings and one of steps between them."""
        return jax.tree.map(
            lambda a: a.reshape(self.blocks_count, self.every, *a.shape[1:]), series
        )

    def read(self, y: Float[Array, "readings *batch outputs"]) -> Float[Array, "..."]:
        """Readings, first along the leading axis, as a layer's output has them."""
        return y[0] if self.readings is None else jnp.moveaxis(y, 0, -2)

    def unread(self, y: Float[Array, "..."]) -> Float[Array, "readings *batch outputs"]:
        """A layer's output as `read` got it."""
        return y[None] if self.readings is None else jnp.moveaxis(y, -2, 0)


# All else that a step makes is sooner made again than written and read.
_KEPT_FOR_THE_WAY_BACK = jax.checkpoint_policies.dots_saveable


def _by(flows: Sequence[Flow]) -> Visit:
    return lambda state, part, drive, duration: flows[part](state, drive, duration)


def _divisor(steps: int, readings: int) -> int:
    """The largest number up to `readings` that divides `steps`."""
    return max(n for n in range(1, max(readings, 1) + 1) if steps % n == 0)


def held(
    signal: Float[Array, "*batch times n"], steps: int
) -> Float[Array, "steps *batch n"]:
    """Each sample of a signal, held for an equal number of steps.

    **Raises:** `ValueError` if the samples do not divide the steps.
    """
    times = signal.shape[-2]
    if times == 0 or steps % times:
        raise ValueError(
            f"The signal has {times} samples, which do not divide the {steps} steps: "
            f"take {max(times, 1) * math.ceil(steps / max(times, 1))} steps."
        )
    first = jnp.moveaxis(signal, -2, 0)
    # The derivative of `jnp.repeat` adds the steps up one after the other.
    again = jnp.broadcast_to(first[:, None], (times, steps // times, *first.shape[1:]))
    return again.reshape(steps, *first.shape[1:])
