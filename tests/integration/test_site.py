"""The documentation: what is made of the code is up to date, tables of calls run, the site builds whole."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import openai_harmony
import pytest
import tiktoken

import harmony_py
from harmony_py.compat import openai_harmony as drop_in
from harmony_py.format.events import ContentDelta
from harmony_py.format.grammar import StreamState
from tests import pages

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", pages.PAGES)
def test_what_is_made_of_the_code_is_up_to_date(name: str) -> None:
    current = (DOCS / name).read_text("utf-8")
    assert pages.whole(name, current) == current, "python -m tests.pages"


# -- the tables of migration.md ----------------------------------------------------------------------------

ROW = re.compile(r"^\| `(.+?)` \| `(.+?)` \|", re.MULTILINE)

TOKENS = (
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
    '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": "Łódź"}<|call|>'
)


def rows(section: str) -> list[tuple[str, str]]:
    text = (DOCS / "migration.md").read_text("utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    return ROW.findall(text)


def conversation(library: Any) -> Any:
    message, role = library.Message, library.Role
    return library.Conversation.from_messages(
        [
            message.from_role_and_content(role.USER, "2 + 2?"),
            message.from_role_and_content(role.ASSISTANT, "A sum.").with_channel("analysis"),
            message.from_role_and_content(role.ASSISTANT, "4").with_channel("final"),
            message.from_role_and_content(role.USER, "And 3 + 3?"),
        ]
    )


def names(library: Any, encoding: Any) -> dict[str, Any]:
    """What the cells of the first table speak of."""
    tokens = encoding.encode(TOKENS, allowed_special="all")
    return {
        **{name: getattr(library, name) for name in dir(library) if not name.startswith("_")},
        "encoding": encoding,
        "conversation": conversation(library),
        "message": conversation(library).messages[0],
        "tokens": tokens,
        "parser": library.StreamableParser(encoding, library.Role.ASSISTANT),
        "call": encoding.parse_messages_from_completion_tokens(tokens, library.Role.ASSISTANT)[-1],
        "json": json,
        "ContentDelta": ContentDelta,
        "StreamState": getattr(library, "StreamState", StreamState),
    }


def result(cell: str, known: dict[str, Any]) -> Any:
    cell = cell.replace(r"\|", "|")
    if cell.startswith("from "):
        exec(cell, known)
        return None
    found = eval(cell, known)
    if isinstance(found, list):
        return [each.to_dict() if hasattr(each, "to_dict") else each for each in found]
    return found


@pytest.mark.parametrize(("old", "new"), rows("With our own API"))
def test_openai_harmonys_calls_and_ours(old: str, new: str) -> None:
    theirs = names(openai_harmony, openai_harmony.load_harmony_encoding("HarmonyGptOss"))
    expected = result(old, theirs)
    assert result(new, names(harmony_py, harmony_py.load_harmony_encoding())) == expected
    # And the drop-in takes the old call as it is.
    stand_in = names(drop_in, drop_in.load_harmony_encoding("HarmonyGptOss"))
    assert result(old.replace("openai_harmony", "harmony_py.compat.openai_harmony"), stand_in) == expected


@pytest.mark.parametrize(("old", "new"), rows("From tiktoken"))
def test_tiktokens_calls_and_ours(old: str, new: str) -> None:
    text = "Zażółć gęślą jaźń, one two three 🚂."
    known = {"text": text, "texts": [text, "", "b"], "tiktoken": tiktoken, "Tokenizer": harmony_py.Tokenizer}
    theirs = {**known, "enc": tiktoken.get_encoding("o200k_harmony")}
    assert result(new, {**known, "enc": harmony_py.Tokenizer.o200k_harmony()}) == result(old, theirs)


def test_the_classes_without_a_counterpart_are_named() -> None:
    """Others are imported from `harmony_py` as they were from `openai_harmony`."""
    text = (DOCS / "migration.md").read_text("utf-8")
    classes = {name for name, found in vars(openai_harmony).items() if isinstance(found, type)}
    theirs = {name for name in classes if getattr(openai_harmony, name).__module__ == "openai_harmony"}
    missing = {name for name in theirs if not hasattr(harmony_py, name)}
    assert "Message" in theirs - missing
    assert all(f"`{name}" in text for name in missing), missing


def test_the_tables_are_read() -> None:
    assert len(rows("With our own API")) >= 15
    assert len(rows("From tiktoken")) >= 12


# -- the site ----------------------------------------------------------------------------------------------


class Resources(HTMLParser):
    """What a page loads, and where it leads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if source := given.get("src"):
            self.loaded.append(source)
        if href := given.get("href"):
            (self.loaded if tag == "link" and given.get("rel") != "canonical" else self.links).append(href)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if sys.version_info < (3, 11):
        pytest.skip("zensical needs Python 3.11")
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "zensical.toml", folder)
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "site_markdown.py", folder / "tests")
    shutil.copytree(DOCS, folder / "docs")
    ran = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder / "site"


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_links_in_the_root_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r'"([\w/]+\.md)"', (ROOT / "zensical.toml").read_text("utf-8")))
    assert named == {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}


def test_the_site_loads_nothing_from_elsewhere_and_no_link_is_broken(site: Path) -> None:
    found = sorted(site.rglob("*.html"))
    assert len(found) > len(list(DOCS.glob("*.md")))
    for page in found:
        resources = Resources(page.read_text("utf-8"))
        for url in [*resources.loaded, *resources.links]:
            elsewhere = re.match(r"[a-z]+:|//", url)
            if elsewhere:
                assert url in resources.links, f"{page.name} loads {url}"
                continue
            path = url.partition("#")[0].partition("?")[0]
            target = site / path.lstrip("/") if path.startswith("/") else page.parent / path
            assert page.name == "404.html" or target.exists(), f"{page.relative_to(site)}: {url}"
    for style in site.rglob("*.css"):
        assert not re.findall(r"url\(['\"]?(?:https?:)?//[^)]*|@import[^;]*", style.read_text("utf-8"))
