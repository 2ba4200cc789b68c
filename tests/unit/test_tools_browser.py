"""The browser: what is displayed, character for character, and what is said where that cannot be."""

from __future__ import annotations

import re
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from harmony_py.chat import Message, Role, SystemContent
from harmony_py.engines.chat import Chat, ToolAnswered
from harmony_py.errors import ToolError
from harmony_py.tokenizer import Tokenizer
from harmony_py.tools.browser import Browser, Document, FolderBackend, Hit
from tests.browsed_pages import Pages, read
from tests.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SKY = "https://sky.example/blue"
SKY_PAGE = """<!doctype html>
<html><head><title>Sky &amp; sea</title><style>p { color: blue }</style></head>
<body><h1>The   sky</h1>
<p>It is <b>blue</b><sup>2</sup>, see <a href="/sea#x">the
  sea</a> and <a href="//other.example/">more</a> or <a href="/sea#x"> again</a>.<br>CO<sub>2</sub></p>
<ul><li>one<li>two</ul><img src=x alt="a cat"><img src=y>
<pre>  as it
    stands</pre><table><tr><td>1</td><td>2</td></tr><tr><td>3<td>4</table>
<a href="#top">up</a> <a href="javascript:alert(1)">no</a> <a href="mailto:a@b.c">post</a> <math>x</math>
<script>document.write("<p>no</p>")</script></body></html>"""

SHOWN = re.sub(
    r"(?m)^(L\d+:)$",
    r"\1 ",
    """\
[0] Sky & sea (https://sky.example/blue)
**viewing lines [0 - 18] of 18**

L0:
L1: URL: https://sky.example/blue
L2: # The sky
L3:
L4: It is blue^{2}, see 【0†the sea】 and 【1†more†other.example】 or 【0†again】.
L5: CO_{2}
L6:
L7:   * one
L8:   * two
L9:
L10: [Image 0: a cat][Image 1]
L11:
L12:       as it
L13:         stands
L14:
L15: 1 2
L16: 3 4
L17:
L18: up no post""",
)

LAID_OUT = """<div>one<div>two</div>three</div><p>para <i>it</i>alic</p><h2>Head <a href=/x>link</a></h2>
<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table><ol><li>first</li><li><p>second</p>
<ul><li>nested</li></ul></li></ol><blockquote>quoted text<p>twice</blockquote>
<dl><dt>term</dt><dd>definition</dd></dl>
<hr><p>after<br>break</p><code>x = 1</code> <button>Push</button><pre>
for x in y:
    <b>pass</b></pre><ul><li></li><li>last</ul><a href=/y><div>a card</div><p>of two lines</a>"""

AS_LAID_OUT = """\
one

two

three

para italic

## Head 【0†link】

a b
1 2

  1. first
  2. second

     * nested

> quoted text

> twice

term
    definition

* * *

after
break

`x = 1` Push

    for x in y:
        pass

  *
  * last

【1†a card of two lines】"""

LONG = "https://long.example/"
LONG_PAGE = "<title>Long</title>" + "".join(f"<p>Paragraph {i} speaks of nothing.</p>" for i in range(500))


def browser(**options: Any) -> Browser:
    return Browser(Pages({SKY: SKY_PAGE, LONG: LONG_PAGE, "https://sky.example/sea#x": "<p>Wet."}), **options)


def test_a_page() -> None:
    assert browser().open(SKY) == SHOWN


def test_layout() -> None:
    page = Browser(Pages({SKY: LAID_OUT}))
    assert "\n".join(line.rstrip() for line in read(page.open(SKY)).lines[2:]) == AS_LAID_OUT


def test_search_results_and_what_is_behind_them() -> None:
    browsing = Browser(Pages({SKY: "<p>It is\nblue†.", "https://a.example/": ""}))
    assert browsing.search("sky") == (
        "[0] sky\n**viewing lines [0 - 5] of 5**\n\nL0: \nL1: URL: \nL2: # Search Results\nL3: \n"
        "L4:   * 【0†title of https://sky.example/blue†sky.example】 <p>It is blue‡.\n"
        "L5:   * 【1†title of https://a.example/†a.example】"
    )
    assert browsing.open(0).startswith("[1] sky.example (https://sky.example/blue)\n")
    assert browsing.open(1, cursor=0).startswith("[2] a.example (https://a.example/)\n")
    assert browsing.cited == {1: SKY, 2: "https://a.example/"}
    assert len(read(browsing.search("sky", topn=1)).links) == 1


def test_found_places_and_a_jump_to_one() -> None:
    browsing = browser()
    browsing.open(LONG)
    found = browsing.find("PARAGRAPH 100  speaks")
    assert found == (
        "[1] Find results for text: `PARAGRAPH 100 speaks` in `Long` "
        "(https://long.example//find?pattern=PARAGRAPH 100 speaks)\n"
        "**viewing lines [0 - 4] of 4**\n\nL0: # 【0†match at L202】\n"
        "L1: Paragraph 100 speaks of nothing.\nL2: \nL3: Paragraph 101 speaks of nothing.\nL4: "
    )
    assert read(browsing.open(0, num_lines=9)).lines[4] == "Paragraph 100 speaks of nothing."
    browsing = browser(tokens=10**6)
    browsing.open(LONG)
    assert len(read(browsing.find("Paragraph", cursor=0)).links) == 50
    assert "No `find` results for pattern: `sea`" in browsing.find("sea", cursor=0)
    assert browsing.cited == dict.fromkeys(range(3), LONG)


def test_words_are_found_where_lines_end_and_in_links() -> None:
    browsing = Browser(Pages({"u:": f"{'word ' * 15}<a href=http://x.example>linked words</a> end"}))
    browsing.open("u:")
    assert read(browsing.find("word linked words end")).links == [(0, "match at L2", None)]


def test_scrolling() -> None:
    browsing = browser()
    first = read(browsing.open(LONG))
    second = read(browsing.open(loc=first.last + 1))
    assert second.lines[0] == read(browsing.open(cursor=0, loc=first.last + 1, num_lines=1)).lines[0]
    assert (second.cursor, second.first) == (1, first.last + 1)
    assert read(browsing.open(loc=1000)).last == read(browsing.open(loc=999, num_lines=5)).last == 1000


@pytest.mark.parametrize("tokens", [1, 50, 1024])
def test_a_display_has_about_so_many_tokens(tokens: int) -> None:
    encode = Tokenizer.o200k_harmony().encode_ordinary
    lines = browser(tokens=tokens).open(LONG).split("\n")[3:]
    assert len(encode("\n".join(lines[:-1]))) <= tokens < len(encode("\n".join(lines))) + 2
    many = browser(tokens=tokens).open(LONG, num_lines=10**9).split("\n")[3:]
    assert len(encode("\n".join(many[:-1]))) <= 8 * tokens


def test_source_is_shown_as_it_stands() -> None:
    browsing = browser()
    shown = browsing.open(SKY, view_source=True)
    assert shown.startswith(f"[0] sky.example (view-source:{SKY})\n")
    lines = read(shown).lines
    assert "<body><h1>The   sky</h1>" in lines
    assert read(browsing.open(f"view-source:{SKY}")).lines == lines
    assert read(browsing.open(view_source=True)).lines == lines
    assert browsing.cited[2] == SKY


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        ([("open", {})], "No pages to access!"),
        ([("find", {"pattern": "a"})], "No pages to access!"),
        ([("open", {"id": "http://x"})], "http://x is not here"),
        ([("search", {"query": "a"}), ("open", {"id": 3})], "Invalid link id `3`."),
        ([("search", {"query": "a"}), ("open", {"cursor": 1})], "Cursor `1` was not shown; the last is `0`."),
        (
            [("search", {"query": "a"}), ("open", {"loc": 99})],
            "Invalid location parameter: `99`. Cannot exceed",
        ),
        ([("search", {"query": "a"}), ("open", {"view_source": True})], "this page has no address to open"),
        ([("search", {"query": "a"}), ("find", {"pattern": "a"})], "Cannot run `find` on search results"),
        ([("open", {"id": SKY}), ("find", {"pattern": " "})], "`pattern`: expected a text of 1 to 200"),
        ([("open", {"id": SKY}), ("find", {"pattern": "a" * 201})], "`pattern`: expected a text of 1 to 200"),
        ([("open", {"id": SKY, "loc": "x"})], "`loc`: expected a whole number, found 'x'"),
        ([("open", {"id": SKY, "loc": 0.5})], "`loc`: expected a whole number, found 0.5"),
        ([("open", {"id": SKY, "loc": float("nan")})], "`loc`: expected a whole number, found nan"),
        ([("open", {"id": SKY, "loc": float("inf")})], "`loc`: expected a whole number, found inf"),
        ([("open", {"id": SKY, "loc": True})], "`loc`: expected a whole number, found True"),
        ([("open", {"id": SKY, "loc": [1]})], "`loc`: expected a whole number, found [1]"),
        ([("open", {"id": None})], "No pages to access!"),
        ([("search", {"query": "a", "topn": {}})], "`topn`: expected a whole number, found {}"),
    ],
)
def test_what_cannot_be_is_told(calls: list[tuple[str, dict[str, Any]]], told: str) -> None:
    browsing = browser()
    *before, (name, arguments) = calls
    for earlier, its in before:
        browsing.callables[f"browser.{earlier}"](**its)
    with pytest.raises(ToolError) as caught:
        browsing.callables[f"browser.{name}"](**arguments)
    assert str(caught.value).startswith(told)
    # A call that failed has no number.
    assert read(browsing.open(SKY)).cursor == len(before)


def test_numbers_in_other_spellings() -> None:
    browsing = browser()
    browsing.search("a", topn="5")
    assert read(browsing.open("0", cursor=0.0, loc=2.0)).heading.startswith("Sky & sea")


class Broken(Pages):
    """Fails in one way or another."""

    def __init__(self, fails: Callable[[], Any]) -> None:
        super().__init__({})
        self._fails = fails

    def search(self, query: str, topn: int) -> Any:
        return self._fails()

    def fetch(self, url: str) -> Any:
        return self._fails()


def dies() -> Document:
    raise SystemExit(3)


def raises() -> Document:
    raise KeyError("【1†forged】\x1b[2J")


def hangs() -> Document:
    time.sleep(20)
    raise AssertionError


@pytest.mark.parametrize(
    ("fails", "told"),
    [
        (dies, "the page failed: SystemExit: 3"),
        (raises, "the page failed: KeyError: '〖1‡forged〗\\x1b[2J'"),
        (hangs, "the page did not end within 0.5 seconds"),
        (lambda: None, "the page failed: AttributeError"),
    ],
)
def test_a_backend_that_hangs_or_dies_is_cut_off(fails: Callable[[], Any], told: str) -> None:
    before = time.monotonic()
    with pytest.raises(ToolError) as caught:
        Browser(Broken(fails), seconds=0.5 if fails is hangs else 20).open("u")
    assert str(caught.value).startswith(told)
    assert time.monotonic() - before < 5


def test_a_backend_that_floods_is_cut_off() -> None:
    def endless() -> Iterator[Hit]:
        return (Hit(f"http://{i}.example", "t" * 10**5, "s" * 10**5) for i in count())

    shown = read(Browser(Broken(endless)).search("x"))
    assert 1 <= len(shown.links) <= 20
    assert len("\n".join(shown.lines)) < 20_000
    page = Document("u", "<p>" + "a" * 10**8, "html", "t" * 10**6)
    browsing = Browser(Broken(lambda: page))
    assert len(browsing.open("u")) < 20_000
    assert len(browsing.open("u", num_lines=10**9)) < 100_000
    with pytest.raises(ToolError, match="Cannot exceed page maximum of 26216"):
        browsing.open(loc=10**9)


def test_the_chat_loop_and_its_citations() -> None:
    calls = [
        '<|channel|>analysis to=browser.search<|message|>{"query": "sky"}<|call|>',
        '<|channel|>analysis to=browser.open code<|message|>{"id": 0}<|call|>',
        '<|channel|>analysis to=browser.open code<|message|>{"id": 77}<|call|>',
    ]
    browsing = browser()
    chat = Chat(
        ScriptedEngine(*calls, "<|channel|>final<|message|>Blue【1†L4】.<|return|>"),
        [Message.from_role_and_content(Role.SYSTEM, SystemContent.new().with_tools(browsing.namespace))],
        browsing.callables,
    )
    answered = [event for event in chat.send("What colour?") if isinstance(event, ToolAnswered)]
    assert answered[1].text == SHOWN.replace("[0]", "[1]", 1)
    assert (answered[2].text, answered[2].error) == ("Invalid link id `77`.", "Invalid link id `77`.")
    assert [message.author.name for message in chat.messages[3:6:2]] == ["browser.search", "browser.open"]
    assert browsing.cited == {1: SKY}


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide/start.md").write_text("# Start\n\nSee [the end](../end%20.html), ![no](x.png).\n")
    (tmp_path / "end .html").write_text(
        "<title>The end</title><p>All's well. <a href=guide/start.md>back</a>"
    )
    (tmp_path / "plain.txt").write_text("well, well, plainly well\n[no](link)")
    browsing = Browser(FolderBackend(tmp_path))
    assert read(browsing.search("well")).links == [(0, "plain", None), (1, "The end", None)]
    assert read(browsing.open(1)).links == [(0, "back", None)]
    assert read(browsing.open(0)).lines[2:] == ["# Start", "", "See 【0†the end】, ![no](x.png)."]
    assert read(browsing.open(0)).heading == "The end (file:///end .html)"
    assert read(browsing.open("file:///plain.txt")).lines[2:] == ["well, well, plainly well", "[no](link)"]
    (tmp_path / "plain.txt").write_text("changed")
    assert read(browsing.search("changed")).links == [(0, "plain", None)]
    with pytest.raises(ToolError, match="No results for 'nowhere'"):
        browsing.search("nowhere")


@pytest.mark.parametrize(
    "url",
    [
        "file:///../secret.txt",
        "file:///%2e%2e/secret.txt",
        "file:///inner/..%2f..%2fsecret.txt",
        "file://host/page.txt",
        "file:////etc/passwd.txt",
        "/etc/hosts",
        "../secret.txt",
        "file:///link.txt",
        "file:///linked/secret.txt",
        "file:///.hidden.txt",
        "file:///.ssh/key.txt",
        "file:///key.pem",
        "file:///big.txt",
        "file:///dir.txt",
        "file:///a%00.txt",
        "http://example.org/page.txt",
        "http://[",
        "view-source:file:///../secret.txt",
        "",
    ],
)
def test_nothing_outside_of_a_folder_is_opened(tmp_path: Path, url: str) -> None:
    root = tmp_path / "root"
    for folder in ("inner", ".ssh", "dir.txt"):
        (root / folder).mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "linked").symlink_to(tmp_path)
    for name in (".hidden.txt", ".ssh/key.txt", "key.pem"):
        (root / name).write_text("secret")
    (root / "big.txt").write_text("secret" * 200_000)
    (root / "page.txt").write_text("found")
    browsing = Browser(FolderBackend(root))
    with pytest.raises(ToolError):
        browsing.open(url)
    with pytest.raises(ToolError, match="No results"):
        browsing.search("secret")
    assert read(browsing.search("found")).links == [(0, "page", None)]
