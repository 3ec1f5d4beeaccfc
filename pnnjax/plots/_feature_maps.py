"""What the layers of a convolutional network settle to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ._style import GRAY, PALETTE, AnyArray, checked, colorbar, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = 32
"""How many maps of a layer are drawn."""


def feature_maps(
    network: Any,
    image: Float[AnyArray, "ny nx channels"],
    classes: Sequence[str] = (),
) -> "Figure":
    """The image, the settled state of each hidden layer, and the outputs.

    **Arguments:** `network`: an equilibrium layer whose state is a tuple of maps
    `"ny nx channels"`, and of one row, the outputs; `classes`: names of the outputs.
    **Raises:** `ValueError` if there is no hidden layer of maps.
    """
    shown = checked(image, "image", 3)
    *hidden, outputs = eqx.filter_jit(_settled)(network, image)
    if not hidden:
        raise ValueError("The network has no hidden layer, so there is no map to draw.")
    layers = [checked(maps, "state", 3) for maps in hidden]
    tiles = [_tiled(maps) for maps in layers]
    low = min(0.0, *(maps.min() for maps in layers))
    high = max(1.0, *(maps.max() for maps in layers))
    widths = [1.0, *(tile.shape[1] / tile.shape[0] for tile in tiles), 0.8]
    with style():
        fig = figure(2.4 * sum(widths), 2.9)
        axes = fig.subplots(1, len(widths), width_ratios=widths)
        axes[0].imshow(_normalized(shown), "gray", vmin=0, vmax=1)
        axes[0].set_title("Image")
        for i, (ax, tile) in enumerate(zip(axes[1:], tiles)):
            ax.imshow(tile, "viridis", vmin=low, vmax=high)
            ax.set_title(f"Layer {i + 1}: {layers[i].shape[-1]} maps")
        for ax in axes[:-1]:
            ax.axis("off")
        colorbar(axes[1].images[0], axes[1:-1], "State")
        _bars(axes[-1], checked(outputs, "outputs", 1), classes)
    return fig


def _settled(network, image):
    return network.relax(network.initial_state(image), image, None)


def _normalized(image):
    """From 0 to 1, without the last axis if that is one gray channel."""
    span = np.ptp(image) or 1.0
    values = (image - image.min()) / span
    return values[..., 0] if values.shape[-1] == 1 else values


def _tiled(maps):
    """The first maps side by side, with gaps."""
    ny, nx, channels = maps.shape
    count = min(channels, LARGEST)
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    tile = np.full((rows * (ny + 1) - 1, columns * (nx + 1) - 1), np.nan)
    for i in range(count):
        y, x = i // columns * (ny + 1), i % columns * (nx + 1)
        tile[y : y + ny, x : x + nx] = maps[..., i]
    return tile


def _bars(ax, outputs, classes):
    names = list(classes) or [str(i) for i in range(len(outputs))]
    colors = [PALETTE[0] if v == outputs.max() else GRAY for v in outputs]
    ax.barh(names, outputs, color=colors)
    ax.invert_yaxis()
    ax.set_title("Outputs")
