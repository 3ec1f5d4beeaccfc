"""The head of the leaderboard's page as a PNG file, by headless Chromium.

    python benchmarks/leaderboard_picture.py runs/leaderboard board.png

The first argument is the folder that `pnnjax bench` wrote.
"""

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from pnnjax import sweeps

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH = 1240


def picture(page: Path) -> bytes:
    """From the title to the end of the map of cosines."""
    flags = ["--disable-gpu"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        tab = browser.new_page(viewport={"width": WIDTH, "height": 900})
        tab.goto(page.resolve().as_uri())
        # What stands between the title and the map is for those who read on.
        tab.add_style_tag(content="nav, section.text { display: none; }")
        box = tab.locator("figure svg").first.bounding_box()
        assert box is not None
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": box["y"] + box["height"] + 4}
        shot = tab.screenshot(full_page=True, clip=clip)
        browser.close()
    return shot


def main() -> None:
    folder, out = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as space:
        shot = picture(sweeps.report(folder, Path(space) / "page.html"))
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    image.save(out, optimize=True)
    print(f"{out}: {image.width} x {image.height}, {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
