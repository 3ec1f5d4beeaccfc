"""How each of many methods looks, in every picture alike."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ._style import LINES, PALETTE

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

MARKERS = "os^DvPX*"


class Look(NamedTuple):
    """What tells one method from the others."""

    color: str
    marker: str
    line: str


def looks(names: Sequence[str]) -> dict[str, Look]:
    """The look of each name, by its place: seven colors, eight markers, four lines.

    Give all the names at once, in the same order everywhere: those of 56 methods are
    all different, and of 28 in their lines too.
    """
    found = {}
    for i, name in enumerate(dict.fromkeys(names)):
        turn = i // len(PALETTE)
        found[name] = Look(
            PALETTE[i % len(PALETTE)],
            MARKERS[turn % len(MARKERS)],
            LINES[turn % len(LINES)],
        )
    return found


def agreement() -> "Colormap":
    """Colors of a cosine from -1 (vermilion) over 0 (light gray) to 1 (blue).

    The ends are a shade darker than in the palette, so that a dark page, which
    lightens the colors of the palette, does not disturb their order.
    """
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        "agreement", ["#B85100", "#F0F0F0", "#00639C"]
    )


def ink_on(rgba: Any) -> str:
    """The color of a text that can be read on that color."""
    red, green, blue = rgba[:3]
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#111111" if light > 0.45 else "#FFFFFF"
