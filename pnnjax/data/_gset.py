"""The G-set: the graphs on which MaxCut solvers are compared."""

import difflib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ._source import RemoteFile, locate


class Graph(NamedTuple):
    """An undirected graph with weighted edges."""

    n: int
    """How many nodes."""
    edges: Int[np.ndarray, "edges 2"]
    """The two nodes of each edge, counted from 0."""
    weights: Float[np.ndarray, " edges"]
    name: str
    best_known: int | None
    """The largest cut that was ever reported, as far as we know."""
    source: str
    """Where that is from."""


def gset(name: str) -> Graph:
    """One of 37 graphs of the G-set, `G1` to `G81`, of 800 to 20,000 nodes.

    Random, toroidal, and unions of planar graphs, with edges of 1 or of 1 and -1.

    **Raises:** `ValueError` for another name, or naming the line, for a damaged file.
    **Source:** Helmberg, Rendl, *SIAM J. Optim.* 10, 673 (2000),
    doi:10.1137/S1052623497328987, made with Rinaldi's generator `rudy`. Newer papers
    may know larger cuts of the largest graphs.
    """
    if name not in _TABLE:
        close = difflib.get_close_matches(name, _TABLE, n=3, cutoff=0.4)
        near = f" Did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(f"There is no graph `{name}` here.{near} {_NAMES}")
    _, best, source, sha256 = _TABLE[name]
    url = f"{_MIRROR}/{name}.txt"
    path = locate(RemoteFile(f"gset/{name}.txt", (url,), sha256))
    return read_graph(path)._replace(
        name=name, best_known=int(best), source=_SOURCES[source]
    )


def gset_names(largest: int | None = None) -> tuple[str, ...]:
    """The graphs at hand for `gset`, those with up to `largest` nodes."""
    return tuple(
        name
        for name, (nodes, *_) in _TABLE.items()
        if largest is None or int(nodes) <= largest
    )


def read_graph(path: Path) -> Graph:
    """A graph in the format of the G-set: `nodes edges`, then `node node weight` lines.

    Nodes count from 1.

    **Raises:** `ValueError` naming the file and the line, if it has another format,
    leaves the nodes, repeats an edge or is cut short.
    """
    lines = path.read_text().splitlines()
    n, count = _numbers(path, 1, lines[0] if lines else "", 2)
    filled = [i for i, line in enumerate(lines[1:], 2) if line.strip()]
    if len(filled) < count:
        raise ValueError(
            f"`{path}` is cut short: line 1 announces {count} edges, but it ends with "
            f"edge {len(filled)} on line {filled[-1] if filled else 1}."
        )
    if len(filled) > count:
        raise ValueError(
            f"`{path}`, line {filled[count]}: one edge more than the {count} announced."
        )
    seen: dict[tuple[int, int], int] = {}
    rows = np.empty((count, 3), np.int64)
    for row, i in enumerate(filled):
        a, b, weight = _numbers(path, i, lines[i - 1], 3)
        if not (1 <= a <= n and 1 <= b <= n and a != b):
            raise ValueError(
                f"`{path}`, line {i}: {a} {b} are no two of the nodes 1 to {n}."
            )
        first = seen.setdefault((min(a, b), max(a, b)), i)
        if first != i:
            raise ValueError(
                f"`{path}`, line {i}: the edge {a} {b} is on line {first} already."
            )
        rows[row] = a - 1, b - 1, weight
    edges, weights = rows[:, :2].astype(np.int32), rows[:, 2].astype(np.float32)
    return Graph(n, edges, weights, path.stem, None, "")


def _numbers(path: Path, line: int, text: str, count: int) -> tuple[int, ...]:
    try:
        numbers = tuple(int(word) for word in text.split())
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise ValueError(
            f"`{path}`, line {line}: expected {count} whole numbers, found `{text}`."
        )
    return numbers


_MIRROR = (
    "https://raw.githubusercontent.com/BeloborodovDS/SIMCIM-RL/"
    "94be35eb5215933c7f85984e9fb0d96e10cd4f79/data"
)

_SOURCES = {
    "BLS": "Benlic, Hao, Eng. Appl. Artif. Intell. 26, 1162 (2013), "
    "doi:10.1016/j.engappai.2012.09.001",
    "AOC": "github.com/microsoft/AOCoptimizer.jl, data/GSet/reference.csv",
    "SSA": "github.com/nonizawa/SSA-for-MAX-CUT, header of the graph's file",
}

_ROWS = """
G1 800 11624 BLS 73bf704d8ffc55ba42260ab4cb659e3dcb6e729be70404d2cf476ba4e46d1665
G2 800 11620 BLS 732d57480a0151e81253a08535da539ff579f77dbc8673d2b58f4b051f6ccdac
G3 800 11622 BLS 999e49b5e093408bbb9e9d8aa76a4d05d61b7f8d4704cb1e35b596a6f1ad2897
G4 800 11646 BLS df9872b8f1a5970d2d8f8345d259a6ea72480b6b00cf522a858b9d78a3804071
G5 800 11631 BLS 0e69826d8ba546aa6bd20fddd7d5b9fd125c851e5d7fda227a5656ee456f27ea
G6 800 2178 BLS e3dd8b29205280f1ad5806849321cdff6f11324c75cb95647d5783f3e47a1103
G7 800 2006 BLS 62a49edc162b2548ea4a58f2b65a6398f9a54a24ea448f3939f1526326200329
G8 800 2005 BLS c792a36a35577c9c25b923be51e7397d2247271c5bc5547ed535b411cace84fd
G9 800 2054 BLS a29ce383615282e0f49cfffd4f2eceed876a58e9247f71227afe6608dc8ca8fe
G10 800 2000 BLS e010c59afa642f79c3262c17912c991f27f6fd7c0dc56729afa0b37275e14826
G11 800 564 BLS c2a760d2926db4fefd23b25c098dcd6311f711b355dbd1cc689fa25660c73174
G12 800 556 BLS a8628108d95d74b90a342fabe97faaa566dabfb3f64382a93548b3bdf131f8e3
G13 800 582 BLS 44af0d3aa232d0a8ca2f881321b24f1f8b4581264c8114cd238bc5b52c2091ea
G14 800 3064 BLS dc769b978a40d458f693d5bd2cf8b8cceabd430b8e976204746696179c3d5945
G15 800 3050 BLS 2f1808f074bccc18b77b4e8c045a35a57f7d450c64e098852bb52d9b3bf54c18
G16 800 3052 BLS 5a70eec4649ace1b40b2367ec21e0680e9b8b241c6c1cd62473c0ed6086534ee
G17 800 3047 BLS 18fdaa8ff24a55fb0f1e4a303d7c7056aa6c73e2bc356bd13127ae74c8947144
G18 800 992 BLS 6185af31fae0f7d59e232dad91178753574b7caa111dd6e6bf52f11c80e928d8
G19 800 906 BLS a5057d6ed7e5dcec5997ffe2c25c4bc24c38ef5806fcbff88b581b1f612efcfa
G20 800 941 BLS 9758181ecba92f5815f7d771b2e025258074b992473630aabe46e381288ad012
G21 800 931 BLS dd0727663c79cc9b49f65a65cdeb74ab731ed4c136c54d59234e9cdd3ffe455b
G22 2000 13359 BLS 9baeee06eb147b1c9ca42b43be86592d4e6fc60784a85af9be5b63d1362ef28e
G23 2000 13344 BLS 5aa8fd6d1f36aaaa074f940e874d7c45c146f8f32afc8394977de0acecfce0ec
G27 2000 3341 BLS 63db007e22ed29ce961476a6059c2c85e997f573d5f378d9ad3b069e3ecd7074
G32 2000 1410 BLS 9760fce6b601832db1b1173c1a09c8556d64bfb27ba603ef52ca24ee6c8527cc
G35 2000 7687 AOC 3df35a2abbe8b73a8ade2509363b9f84c060ff46e3693675e204aa1ade1da3f4
G39 2000 2408 BLS daeeaf681937495345ca35519bf25b2e274e4bcbdbb2f16bf7f271f1d430ee13
G43 1000 6660 BLS 9af5445b4b066cbf1eabe218d4e0d907cb6f211651cae557c761ec344dc37be8
G47 1000 6657 BLS 1e4b6fd99bfa1a14886bf15f49b8f11fc31051660d1a0b629de71ff91cbf8ee5
G48 3000 6000 BLS 2c2daba39d1f1ff1657e015f58b1a8c1cbef198fa25175c182c50eae40269b6d
G51 1000 3848 BLS 23b7111e929fe1c9be8dfc75d9b8d2f395552e59981bb1f2d23f5e14a7a987a5
G54 1000 3852 BLS a6150a5ff80de8f268c3e60a9b37c708cbbfdff7f079008e9501e8a89569e7cc
G55 5000 10299 AOC 7537bbb613a6e6d0fe784937be68099eeb36227d85bb273299f22cb7d3ff2227
G67 10000 6950 AOC 2a8bd22b13b13e43ccc2c1fd936397e5c1680b60bf6086b794dd9bf487fc82d5
G70 10000 9591 AOC 0d965a2ff1444cc71d7740824b5b3a5e09fc1843cbf6d90691b52d5221987061
G77 14000 9938 SSA b90932aa0d671319aed088853a6054739e5879986f314b4a98a1233b71b96fb1
G81 20000 14048 SSA 74e69d2f5228774cedbdb86da14debf08023556f1d7693b7346ca13df7594d5a
"""

# Name -> nodes, best known cut, who reported it, sha256 of the file.
_TABLE = {
    name: facts for name, *facts in (line.split() for line in _ROWS.strip().split("\n"))
}
_NAMES = f"There are {', '.join(_TABLE)}."
