"""Pages in one file: what is in them, and that they need nothing else."""

import re
from html.parser import HTMLParser

import board_sample
import numpy as np
import polars
import pytest
from board_sample import NASTY, board, robustness

import pnnjax as pnn
from pnnjax import sweeps
from pnnjax.plots._cost_and_quality import pareto_front
from pnnjax.plots._looks import looks
from pnnjax.sweeps._page._values import as_given, shown

VOID = {"meta", "link", "input", "img", "path", "use", "br"}


class Reader(HTMLParser):
    """Elements with their attributes, checked to be closed in order; tables."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.tables, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if {"td", "th"} & {*self.open[-3:]}:
            self.tables[-1][-1][-1] += data


def read(path):
    reader = Reader()
    reader.feed(path.read_text())
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "board.html"
    path.write_text(board_sample.page())
    return path


def test_a_page_refers_to_nothing_outside_of_it(page):
    text, reader = page.read_text(), read(page)
    assert "http:" not in text and "https:" not in text and "@import" not in text
    for tag, attributes in reader.elements:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
    (policy,) = [
        a["content"]
        for _, a in reader.elements
        if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'")
    scripts = policy.partition("script-src")[2].partition(";")[0]
    assert "unsafe" not in scripts and "sha256-" in scripts


def test_ids_are_unique_and_every_reference_has_its_own(page):
    text, reader = page.read_text(), read(page)
    ids = [a["id"] for _, a in reader.elements if "id" in a]
    assert len(ids) == len({*ids})
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)|labelledby="([^"]+)"', text)
    assert {name for names in used for name in names if name} <= {*ids}


def test_names_are_text_and_never_markup(page):
    reader = read(page)
    cells = [cell for table in reader.tables for row in table for cell in row]
    assert any(cell.endswith(NASTY) for cell in cells)
    assert "ValueError: a < b & c" in cells
    assert "pnnjax bench > <here>" in reader.text
    assert NASTY not in page.read_text()


def test_tables_can_be_read_without_a_script(page):
    own, pairs, levels = read(page).tables
    heads = pairs[0]
    assert heads[:3] == ["layer", "estimator", "domain"]
    first = dict(zip(heads, pairs[1], strict=True))
    # Optics comes before waves.
    assert first["layer"] == "mesh" and first["estimator"] == "●autodiff"
    assert (first["time"], first["memory"]) == ("300\u202fµs", "16.0\u202fkB")
    last = dict(zip(heads, pairs[-1], strict=True))
    assert last["accuracy"] == "–" and last["cosine"] == "0.990"
    assert levels[0] == ["layer", "estimator", "what", "at 0.01", "at 0.1"]
    assert {row[0][1:] for row in own[1:]} == {"autodiff", "ep", NASTY}


def test_shades_and_exact_values(page):
    text = page.read_text()
    style = 'style="--v:25%;--s:var(--c2)"'
    assert f'<td class="n s" title="-0.25" {style}>−0.250</td>' in text
    assert '<th scope="row">' in text and '<th scope="col"' in text


def test_the_pages_own_code_is_small(page):
    text = page.read_text()
    code = re.findall(r"<style>.*?</style>|<script>.*?</script>", text, re.DOTALL)
    assert sum(map(len, code)) < 30_000


def test_pictures_are_text_and_follow_the_colors_of_the_page(page):
    text = page.read_text()
    svg = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert ">springs</text>" in svg and "var(--c1)" in svg and "currentColor" in svg
    assert "#000000" not in svg
    labels = [a["aria-label"] for tag, a in read(page).elements if tag == "svg"]
    assert all(len(label) > 30 for label in labels)


def test_a_board_without_a_column_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`board` has no column cosine"):
        sweeps.leaderboard_page(tmp_path / "x", board().drop("cosine"), robustness())


def test_a_full_page_leaves_the_old_one(tmp_path, monkeypatch):
    path = sweeps.write_page(tmp_path / "a.html", "A", [sweeps.Text("One", "<p>")])
    before = path.read_text()
    assert "&lt;p&gt;" in before

    def fail(handle):
        raise OSError(28, "full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(sweeps.FullDiskError):
        sweeps.write_page(path, "B", [])
    assert path.read_text() == before and [*tmp_path.iterdir()] == [path]


def test_values_for_people():
    said = {0.98765: "0.988", 3.0: "3.00", 1234.5: "1230", 1.2e-9: "1.20 × 10⁻⁹"}
    said |= {-0.5: "−0.500", 2_000_000: "2.00 × 10⁶", 7: "7", float("inf"): "inf"}
    assert {value: shown(value) for value in said} == said
    assert [shown(v) for v in (None, float("nan"), "", True)] == ["–", "–", "–", "yes"]
    units = {999.9: "1.00\u202fk", 12: "12", 1e-3: "1.00\u202fm", 0: "0"}
    assert {value: shown(value, "") for value in units} == units
    assert [as_given(v) for v in (0.01, 10.0, None, "x")] == ["0.01", "10", "–", "x"]


def test_lists_are_shown_by_their_last_value(tmp_path):
    frame = polars.DataFrame({"name": ["a", "b"], "loss": [[2.0, 0.25], []]})
    path = sweeps.write_page(tmp_path / "a.html", "A", [sweeps.Table("T", frame, "N")])
    assert read(path).tables == [[["name", "loss"], ["a", "0.250"], ["b", "–"]]]


def test_a_map_of_cosines():
    cosines = np.array([[1.0, np.nan], [-0.5, 0.996]])
    fig = pnn.plots.alignment_map(cosines, ["a", "b"], ["x", "y"], groups=["g", "h"])
    ax = fig.axes[0]
    said = {t.get_position(): t.get_text() for t in ax.texts}
    assert sorted(said.values()) == sorted(["1", "−.50", ".99", "g", "h"])
    assert (said[0, 0], said[0, 1], said[1, 1]) == ("1", "−.50", ".99")
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y"]
    with pytest.raises(ValueError, match="shape"):
        pnn.plots.alignment_map(cosines, ["a"], ["x", "y"])
    with pytest.raises(ValueError, match="outside"):
        pnn.plots.alignment_map(2 * cosines, ["a", "b"], ["x", "y"])


def test_the_pareto_front_is_of_what_nothing_beats():
    points = [(1.0, 0.5), (2.0, 0.4), (2.0, 0.1), (3.0, 0.2), (4.0, 0.05)]
    assert pareto_front(points, False) == [(1.0, 0.5), (2.0, 0.1), (4.0, 0.05)]
    assert pareto_front(points, True) == [(1.0, 0.5)]
    arrays = [(np.array([x]), np.array([y])) for x, y in points]
    measured = dict(zip("abcde", arrays, strict=True))
    ax = pnn.plots.cost_and_quality(
        measured, cost="runs", quality="error", higher=False
    ).axes[0]
    front = ax.lines[-1].get_xydata()
    np.testing.assert_array_equal(front, pareto_front(points, False))
    with pytest.raises(ValueError, match="2 costs, but 1"):
        bad = {"a": (np.ones(2), np.ones(1))}
        pnn.plots.cost_and_quality(bad, cost="", quality="", higher=True)


def test_panels_strips_and_settings():
    runs = np.array([[1.0, 0.5], [0.8, 0.3], [0.9, 0.1]])
    results = {"a": {"noise": (np.array([0.0, 0.1]), runs)}}
    fig = pnn.plots.robustness_panels(results, label="level", quantity="cosine")
    np.testing.assert_allclose(fig.axes[0].lines[0].get_ydata(), [0.9, 0.3])
    with pytest.raises(ValueError, match="not \\(runs, 1\\)"):
        bad = {"a": {"noise": (np.array([0.1]), runs)}}
        pnn.plots.robustness_panels(bad, label="", quantity="")
    times = {"slow": np.array([2.0, 4.0, 3.0]), "fast": np.array([1.0])}
    ax = pnn.plots.strips(times, label="Time", unit="s").axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["fast", "slow"]
    assert ax.lines[3].get_xdata()[0] == 3.0
    with pytest.raises(ValueError, match="not positive"):
        pnn.plots.strips({"a": np.zeros(1)}, label="")
    spread = np.array([0.1, np.nan])
    means = {"a": (np.array([10.0, 1.0]), np.array([0.5, 0.7]), spread)}
    ax = pnn.plots.against_setting(means, setting="beta", quantity="accuracy").axes[0]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 0.7], [10, 0.5]])
    assert ax.get_xscale() == "log"
    with pytest.raises(ValueError, match="no mean"):
        pnn.plots.against_setting({}, setting="", quantity="")


def test_no_two_of_56_methods_look_alike():
    found = looks([f"{i}" for i in range(56)])
    assert len({(look.color, look.marker) for look in found.values()}) == 56
