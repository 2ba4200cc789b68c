"""Draws the pictures of `docs/inspector.md`: `python tests/pictures.py`, where a Chromium is.

Where pngquant is installed, it makes them a third as large.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from harmony_py.inspector import Inspector
from harmony_py.inspector.examples import all_examples
from tests.browser import Browser

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"

MASKED = "document.body.dataset.masked === document.body.dataset.shown"
SCHEMA = (
    "{ const box = document.querySelector('#schema'); box.selectedIndex = box.length - 1;"
    " document.querySelector('#tab-schema').click(); box.dispatchEvent(new Event('change')); }"
)
REPLAY = (
    "{ document.querySelectorAll('#tokens .chip')[124].click();"
    " const slider = document.querySelector('#slider'); slider.value = 146;"
    " slider.dispatchEvent(new Event('input')); }"
)

PICTURES: dict[str, dict[str, Any]] = {
    "inspector": {"does": [REPLAY], "until": "document.querySelector('.chip.newest') !== null"},
    "inspector-broken": {
        "does": ["document.querySelector('[data-pattern=M6]').click()"],
        "until": f"document.querySelector('.refusal') !== null && {MASKED}",
        "dark": True,
    },
    "inspector-schema": {
        "does": [SCHEMA],
        "until": "document.querySelector('#extended .own') !== null",
        "height": 560,
    },
    "inspector-narrow": {
        "does": ["document.querySelector('.stream').scrollIntoView()", REPLAY],
        "until": "document.querySelector('.chip.newest') !== null",
        "width": 375,
        "height": 760,
    },
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as profile,
        Inspector(all_examples()) as inspector,
        Browser(Path(profile)) as browser,
    ):
        for name, picture in PICTURES.items():
            draw(browser, inspector.url, FOLDER / f"{name}.png", **picture)


def draw(
    browser: Browser, url: str, path: Path, *, does: list[str], until: str, dark: bool = False, **size: int
) -> None:
    page = browser.page(url, **{"width": 1280, "height": 800, **size}, dark=dark)
    page.wait(f"document.body.dataset.shown && {MASKED}")
    for step in does:
        page.run(step)
    page.wait(until)
    page.screenshot(path)
    page.close()
    if shutil.which("pngquant"):
        subprocess.run(["pngquant", "--force", "--output", path, "--quality", "60-95", path], check=True)
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
