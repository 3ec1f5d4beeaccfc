"""Figures of matplotlib as part of a page."""

import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

from ...plots._style import PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DROPPED = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>", re.DOTALL)
STYLES = re.compile(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", re.DOTALL)
FONT = re.compile(r"(font(?:-family)?: [^';\"]*)'[^;\"]*")
UNTURNED = re.compile(r' transform="rotate\(-?0 [^)]*\)"')
NUMBER = re.compile(r"(-?\d+\.\d{3})\d+")


def inline_svg(figure: "Figure", prefix: str, label: str) -> str:
    """An `<svg>` whose ids begin with `prefix`; it refers to nothing outside.

    Text stays text, black follows the color of the page's text, the palette its
    variables `--c1` to `--c7`, and what is behind the axes is left out.
    """
    import matplotlib

    buffer = io.StringIO()
    names = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": prefix}
    with matplotlib.rc_context(settings):
        figure.savefig(buffer, format="svg", transparent=True, metadata=names)
    text = STYLES.sub("", DROPPED.sub("", buffer.getvalue()))
    text = _own_ids(text, prefix).replace("xlink:href", "href")
    text = FONT.sub(r"\1sans-serif", NUMBER.sub(r"\1", UNTURNED.sub("", text)))
    for i, color in enumerate(PALETTE, start=1):
        text = re.sub(f"(fill|stroke): {color}", rf"\1: var(--c{i})", text, flags=re.I)
    text = re.sub("(fill|stroke): #000000", r"\1: currentColor", text)
    text = re.sub("stroke: #ffffff", "stroke: var(--bg)", text)
    view = re.search(r'viewBox="([^"]*)"', text)
    assert view is not None
    inside = text[text.index(">", text.index("<svg")) + 1 :]
    opened = f'<svg role="img" aria-label="{escape(label)}" viewBox="{view[1]}">'
    return opened + re.sub(r"\s*\n\s*", "\n", inside).strip()


def _own_ids(text: str, prefix: str) -> str:
    """Those that nothing refers to are dropped."""
    used = {
        *re.findall(r'href="#([^"]+)"', text),
        *re.findall(r"url\(#([^)]+)\)", text),
    }

    def keep(match: re.Match[str]) -> str:
        return f' id="{prefix}{match[1]}"' if match[1] in used else ""

    text = re.sub(r'\s+id="([^"]*)"', keep, text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}\1"', text)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", text)
