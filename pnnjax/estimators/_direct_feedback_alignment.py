"""Direct feedback alignment: the output's error goes to every block at once."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, Biased, Claim, Conditions, PhysicalCost
from ._blocks import (
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
from ._feedback import AbstractFeedback, Link, arriving, carried, link_dtype, run_key
from ._physical_feedback import PhysicalFeedback
from ._sign_feedback import SignFeedback


class DirectFeedbackAlignment(AbstractEstimator):
    r"""A projection of the output's error takes the place of backpropagation.

    Each block, a layer with trainable parameters and those without that follow it, gets

    $$\delta_l = f'(a_l) \odot B_l e$$

    at once, with fixed $B_l$; $e$ is the error at the stack's output, $a_l$ what the
    trained layer makes and $f$ what follows it. The cotangent of its parameters follows
    by its own rule: autodiff, or that of a `Physical` layer. What comes before the
    stack is a block too: its error is $B_0 e$.

    **Arguments:**
    - `feedback`: how the matrices are chosen, or the physics that does their work.
    - `slope`: a function $g(a_l)$ in place of $f'$ (augmented direct feedback
      alignment), so that nothing but the trained layers is differentiated: what follows
      them may be a device. It works where $g$ and $f'$ are correlated.
    - `encoder`: what is sent instead of $e$, such as `TernaryError`.

    **Error:** the last block's gradient is exact. Those of the others start at random
    angles to the gradient, and come below 90° as the weights align with the matrices.
    Over random matrices, the mean overlap of the whole with the gradient is positive,
    by the last block; in a small stack, a single draw may begin below zero.
    **Source:** Nøkland, arXiv:1609.01596; Nakajima et al., *Nat. Commun.* 13, 7847
    (2022), doi:10.1038/s41467-022-35216-2 (`slope`).
    """

    claim: ClassVar[Claim] = Biased(0.0)
    conditions: ClassVar[Conditions] = Conditions(eqx.nn.Sequential)

    feedback: AbstractFeedback | PhysicalFeedback
    slope: Slope | None = eqx.field(static=True, default=None)
    encoder: Callable[[Inexact[Array, "..."]], Inexact[Array, "..."]] | None = None

    def __check_init__(self):
        if isinstance(self.feedback, SignFeedback):
            raise TypeError(
                "`SignFeedback` takes the signs of one layer's weights, but the error "
                "is sent past all of them: use it with `FeedbackAlignment`."
            )

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
        error = y_bar if self.encoder is None else self.encoder(y_bar)
        shapes = receivers(blocks, x, residuals, self.slope)
        x_bar, *hidden = self._sent(error, shapes, key)
        bars = [
            local_cotangent(block, signal, delta(block, signal, own, self.slope))
            for block, signal, own in zip(
                blocks, residuals, [*hidden, y_bar], strict=True
            )
        ]
        return rebuilt(layer, bars), x_bar

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        run = block_cost(layer, x)
        y, signals = eqx.filter_eval_shape(run_blocks, layer, x, None)
        _, blocks = blocks_of(layer, None)
        if isinstance(self.feedback, PhysicalFeedback):
            reading = real_size(self.feedback.outputs(y))
            return run._replace(
                runs=run.runs + self.feedback.runs,
                measurements=run.measurements + self.feedback.runs * reading,
            )
        sizes = map(real_size, receivers(blocks, x, signals, self.slope))
        return run._replace(flops=run.flops + 2 * real_size(y) * sum(sizes))

    def _sent(self, error: Array, shapes: list[Array], key: PRNGKeyArray | None):
        sizes = [example_size(shape, error.ndim - 1) for shape in shapes]
        feedback = self.feedback
        if isinstance(feedback, PhysicalFeedback):
            own = None if key is None else run_key(feedback, key)
            received = feedback.send(error, sum(sizes), key=own)
            parts = jnp.split(received, np.cumsum(sizes)[:-1], -1)
            return [arriving(*pair) for pair in zip(parts, shapes, strict=True)]
        return [
            carried(feedback.matrix(link, key=key), error, shape)
            for link, shape in zip(_links(error, shapes, sizes), shapes, strict=True)
        ]


def _links(error: Array, shapes: list[Array], sizes: list[int]) -> list[Link]:
    senders = error.shape[-1]
    return [
        Link(
            index,
            size,
            senders,
            link_dtype(error, shape),
            (max(sizes), senders),
            None,
            None,
        )
        for index, (size, shape) in enumerate(zip(sizes, shapes, strict=True))
    ]
