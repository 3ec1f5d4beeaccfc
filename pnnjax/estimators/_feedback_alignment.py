"""Feedback alignment: errors go back through fixed random matrices."""

from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Inexact, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, Biased, Claim, Conditions, PhysicalCost
from ._blocks import (
    Block,
    Signal,
    Slope,
    block_cost,
    blocks_of,
    delta,
    example_size,
    local_cotangent,
    real_size,
    rebuilt,
    receivers,
    run_blocks,
)
from ._feedback import AbstractFeedback, Link, carried, link_dtype


class FeedbackAlignment(AbstractEstimator):
    r"""Backpropagation through a stack, with other matrices than the weights.

    A block is a layer with trainable parameters and those without that follow it, such
    as an activation $f$ or fixed physics. From the block above, whose own error is
    $\delta_{l+1}$, a block's trained layer gets

    $$\delta_l = f'(a_l) \odot B_{l+1} \delta_{l+1}$$

    with $B_{l+1}$ where backpropagation has $W_{l+1}^\top$. The cotangent of its
    parameters follows by its own rule: autodiff, or that of a `Physical` layer.

    **Arguments:**
    - `feedback`: how the matrices are chosen.
    - `slope`: a function of $a_l$ in place of $f'$, so that nothing but the trained
      layers is differentiated: what follows them may be a device.

    **Error:** the last block's gradient is exact. Those of the others start at random
    angles to the gradient, and come below 90° as the weights align with the matrices.
    Over random matrices, the mean overlap of the whole with the gradient is positive,
    by the last block; in a small stack, a single draw may begin below zero.
    **Source:** Lillicrap et al., *Nat. Commun.* 7, 13276 (2016),
    doi:10.1038/ncomms13276.
    """

    claim: ClassVar[Claim] = Biased(0.0)
    conditions: ClassVar[Conditions] = Conditions(eqx.nn.Sequential)

    feedback: AbstractFeedback
    slope: Slope | None = eqx.field(static=True, default=None)

    def forward(
        self, layer: Any, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None
    ) -> tuple[Inexact[Array, "..."], PyTree[Array]]:
        return run_blocks(layer, x, key)

    def backward(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        residuals: PyTree[Array],
        y_bar: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Inexact[Array, "..."]]:
        _, blocks = blocks_of(layer, key)
        shapes = receivers(blocks, x, residuals, self.slope)
        links = _links(blocks, residuals, shapes, y_bar.ndim - 1)
        error, bars = y_bar, []
        for block, signal, shape, link in reversed(
            list(zip(blocks, residuals, shapes, links, strict=True))
        ):
            own = delta(block, signal, error, self.slope)
            bars.append(local_cotangent(block, signal, own))
            flat = own.reshape(*y_bar.shape[:-1], link.senders)
            error = carried(self.feedback.matrix(link, key=key), flat, shape)
        return rebuilt(layer, bars[::-1]), error

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        run = block_cost(layer, x)
        _, signals = eqx.filter_eval_shape(run_blocks, layer, x, None)
        _, blocks = blocks_of(layer, None)
        shapes = receivers(blocks, x, signals, self.slope)
        links = _links(blocks, signals, shapes, 0)
        measured = [self.feedback.runs(link) for link in links]
        sizes = [
            real_size(shape) * real_size(signal.response)
            for shape, signal in zip(shapes, signals, strict=True)
        ]
        return run._replace(
            runs=run.runs + sum(measured),
            measurements=run.measurements
            + sum(
                count * real_size(signal.response)
                for count, signal in zip(measured, signals, strict=True)
            ),
            flops=run.flops + 2 * sum(sizes),
        )


def _links(
    blocks: list[Block],
    signals: tuple[Signal, ...],
    shapes: list[Any],
    batch_ndim: int,
) -> list[Link]:
    ends = [
        (example_size(shape, batch_ndim), example_size(signal.response, batch_ndim))
        for shape, signal in zip(shapes, signals, strict=True)
    ]
    largest = max(r for r, _ in ends), max(s for _, s in ends)
    return [
        Link(
            index,
            *ends[index],
            link_dtype(signal.response, shapes[index]),
            largest,
            block.trained.layer,
            signal.x.dtype,
        )
        for index, (block, signal) in enumerate(zip(blocks, signals, strict=True))
    ]
