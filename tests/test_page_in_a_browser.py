"""The leaderboard's page in headless Chromium, clicked through."""

import os
import shutil

import board_sample
import pytest
from board_sample import NASTY

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = ["--disable-gpu", "--disable-background-networking", "--disable-sync"]
QUIET += ["--disable-component-update", "--no-first-run"]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    # Chromium refuses to be root inside of its own sandbox.
    sandbox = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    with playwright.sync_playwright() as running:
        found = found or running.chromium.executable_path
        if not os.path.exists(found):
            pytest.skip(
                "there is no Chromium: install it as `chromium`, or by `playwright "
                "install chromium`"
            )
        browser = running.chromium.launch(executable_path=found, args=QUIET + sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "board.html"
    path.write_text(board_sample.page())
    return path.as_uri()


@pytest.fixture
def opened(browser, address):
    """Opens the page, and holds it to saying nothing and asking for nothing."""
    complaints, requests, contexts = [], [], []

    def open_page(width, **settings):
        viewport = {"width": width, "height": 800}
        context = browser.new_context(viewport=viewport, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if url != address and url != "data:,"] == []


def part(page, name):
    """The section of that heading."""
    heading = page.get_by_role("heading", name=name, exact=True)
    return page.locator("section").filter(has=heading)


def head(page, name):
    return part(page, "All pairs").get_by_role("columnheader", name=name)


def column(page, name):
    """The texts of a column of all pairs, in the rows that are shown."""
    pairs = part(page, "All pairs")
    heads = pairs.locator("thead th").all_inner_texts()
    place = next(i for i, said in enumerate(heads, start=1) if said.strip() == name)
    shown = f"tbody tr:not([hidden]) > :nth-child({place})"
    return pairs.locator(shown).all_inner_texts()


def test_tables_are_sorted_and_filtered(opened):
    page = opened(1280)
    cosine = head(page, "cosine")
    assert cosine.get_attribute("aria-sort") == "none"
    cosine.get_by_role("button").click()
    assert cosine.get_attribute("aria-sort") == "ascending"
    ascending = ["−0.250", "0.500", "0.990", "1.00", "1.00", "–"]
    assert column(page, "cosine") == ascending
    # By the keyboard, the other way round; what is missing stays last.
    cosine.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert cosine.get_attribute("aria-sort") == "descending"
    assert column(page, "cosine") == [*ascending[4::-1], "–"]
    memory = head(page, "memory")
    memory.get_by_role("button").click()
    assert memory.get_attribute("aria-sort") == "ascending"
    assert cosine.get_attribute("aria-sort") == "none"
    said = ["1.00", "4.00", "16.0", "64.0", "256", "1.02"]
    assert [text.split("\u202f")[0] for text in column(page, "memory")] == said

    tools = part(page, "All pairs").locator(".tools")
    tools.get_by_label("Filter rows by text").fill("MESH <b>")
    assert column(page, "layer") == ["mesh", "mesh-odd"]
    assert tools.locator("output").inner_text() == "2 of 6 rows"
    tools.get_by_role("button", name="Show all").click()
    tools.get_by_text("domain: all").click()
    tools.get_by_label("waves 2").check()
    assert column(page, "layer") == ["springs", "springs"]
    tools.get_by_text("estimator: all").click()
    assert not tools.get_by_label("waves 2").is_visible()
    tools.get_by_label("ep 2").check()
    assert column(page, "estimator") == ["■ep"]
    assert tools.get_by_text("domain: waves").is_visible()
    page.keyboard.press("Escape")
    assert not tools.get_by_label("ep 2").is_visible()
    # Other tables are left alone.
    assert part(page, "Noise and mismatch").locator("output").inner_text() == "6 rows"


def test_a_phone_scrolls_down_and_never_sideways(opened):
    page = opened(360, color_scheme="dark", has_touch=True)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == 360
    pairs = part(page, "All pairs")
    box = pairs.locator(".scroll")
    assert box.evaluate("b => b.scrollWidth > b.clientWidth")
    box.evaluate("b => b.scrollLeft = 300")
    first = pairs.locator("tbody th").first.bounding_box()
    assert 0 <= first["x"] < 20 and first["width"] < 180
    pairs.locator("summary").first.tap()
    list_ = pairs.locator("fieldset").first.bounding_box()
    assert list_["x"] >= 0 and list_["x"] + list_["width"] <= 360
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(20, 23, 27)"


def test_without_a_script_the_tables_are_all_there(opened):
    page = opened(800, java_script_enabled=False)
    assert part(page, "All pairs").locator("tbody tr").count() == 6
    assert page.locator(".tools, thead button").count() == 0
    assert page.get_by_role("cell", name=NASTY).first.is_visible()
