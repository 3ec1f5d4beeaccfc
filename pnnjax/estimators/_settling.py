"""What the rules that compare settled states have in common: their first phase."""

from typing import Any

from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator

SMOOTH = {
    "smooth": "its state does not move in proportion to a small force (a spin flips or "
    "stays), so it has no derivative to follow"
}
"""The condition of rules that need the response to small forces."""


class AbstractSettling(AbstractEstimator):
    """A rule whose forward run is the free relaxation, and which keeps its state."""

    def forward(
        self, layer: Any, x: Float[Array, "..."], *, key: PRNGKeyArray | None
    ) -> tuple[Float[Array, "..."], PyTree[Array]]:
        state = layer.relax(layer.initial_state(x, key=key), x, None)
        return layer.readout(state), state
