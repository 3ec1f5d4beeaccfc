"""Which wrong label a network is shown together with an example."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32


class AbstractWrongLabels(eqx.Module):
    """Draws for each example a label that is not its own."""

    @abc.abstractmethod
    def __call__(
        self,
        labels: Int32[Array, " batch"],
        classes: int,
        scores: Callable[[], Float[Array, "batch classes"]],
        keys: Array,
    ) -> Int32[Array, " batch"]:
        """**Arguments:** `scores()` runs the network with every label."""


class RandomLabels(AbstractWrongLabels):
    """Any wrong label, each as often as the others."""

    def __call__(
        self,
        labels: Int32[Array, " batch"],
        classes: int,
        scores: Callable[[], Float[Array, "batch classes"]],
        keys: Array,
    ) -> Int32[Array, " batch"]:
        del scores
        further = jax.vmap(lambda key: jax.random.randint(key, (), 1, classes))(keys)
        return (labels + further.astype(labels.dtype)) % classes


class LikelyLabels(AbstractWrongLabels):
    r"""Hard ones: a wrong label $c$ with a probability $\propto e^{a s_c}$.

    $s_c$ is the network's own score. It takes a run with every label at each step.

    **Source:** Hinton (2022), arXiv:2212.13345, section 3.3, where a softmax layer of
    its own makes the scores.
    """

    sharpness: float = 1.0
    """$a$; at zero, all wrong labels are alike."""

    def __call__(
        self,
        labels: Int32[Array, " batch"],
        classes: int,
        scores: Callable[[], Float[Array, "batch classes"]],
        keys: Array,
    ) -> Int32[Array, " batch"]:
        own = jax.nn.one_hot(labels, classes, dtype=bool)
        logits = jnp.where(own, -jnp.inf, self.sharpness * scores())
        draw = jax.vmap(jax.random.categorical)(keys, logits)
        return draw.astype(labels.dtype)
