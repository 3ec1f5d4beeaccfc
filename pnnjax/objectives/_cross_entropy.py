"""Cross-entropy of outputs that are logits already."""

import optax
from jaxtyping import Array, Float, Inexact, Integer

from ._labels import check_real, checked_labels


def cross_entropy(
    y: Inexact[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, ""]:
    r"""$-\log \operatorname{softmax}(y)_\text{label}$ (nat), averaged over examples.

    For real outputs of either sign, such as those of balanced detectors or of a digital
    last layer. For powers, see `PowerSoftmax` and `PowerLikelihood`.

    **Raises:** `TypeError` if `y` is complex; as `labels` can't be right otherwise.
    """
    check_real(y)
    labels = checked_labels(y, labels)
    return optax.softmax_cross_entropy_with_integer_labels(y, labels).mean()
