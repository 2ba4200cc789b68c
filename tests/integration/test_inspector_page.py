"""The inspector's page in a real browser: seen, clicked, driven by keyboard, and fed what is hostile."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harmony_py.format.encoding import load_harmony_encoding
from harmony_py.format.grammar import expected
from harmony_py.format.parse import StreamableParser
from harmony_py.inspector import Inspector, answer, export
from harmony_py.inspector.examples import all_examples, conversation
from harmony_py.inspector.source import open_source
from tests.browser import Browser, Page, find
from tests.pictures import PICTURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLES = all_examples()
TOY = EXAMPLES[0].source
TOKENS = open_source(TOY).tokens
ENCODING = load_harmony_encoding()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    # `make test` fetches one where it can: only where it cannot is there none.
    try:
        find()
    except FileNotFoundError as problem:
        pytest.skip(str(problem))
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    with Inspector(EXAMPLES) as inspector:
        yield inspector


@pytest.fixture
def show(browser: Browser, inspector: Inspector) -> Iterator[Callable[..., Page]]:
    """Opens pages, waits until all is there, and sees to it that nothing went wrong in them."""
    pages: list[Page] = []

    def show(url: str = "", **options: Any) -> Page:
        page = browser.page(url or inspector.url, **options)
        pages.append(page)
        page.wait(
            "document.body.dataset.masked === document.body.dataset.shown && document.body.dataset.shown"
        )
        return page

    yield show
    for page in pages:
        assert page.problems() == []
        page.close()


def break_it(page: Page, pattern: str) -> None:
    """Click on an operator, and wait for the answer."""
    before = page.run("document.body.dataset.masked ?? ''")
    page.click(f"[data-pattern='{pattern}']")
    page.wait(f"document.body.dataset.masked !== {json.dumps(before)}")


def choose(page: Page, selector: str, value: object) -> None:
    """Choose an option, and wait for the answer."""
    before = page.run("document.body.dataset.masked ?? ''")
    page.run(
        f"{{ const box = document.querySelector({json.dumps(selector)}); box.value = {json.dumps(value)};"
        " box.dispatchEvent(new Event('change')); }"
    )
    page.wait(f"document.body.dataset.masked !== {json.dumps(before)}")


def edit(page: Page, text: str) -> None:
    """Type `text` into the editor, in place of what is there."""
    page.run("document.querySelector('#text').focus(); document.querySelector('#text').select()")
    page.type(text)


def paste(page: Page, text: str) -> None:
    """The same for long texts, which a browser is slow to type."""
    page.run(
        f"{{ const editor = document.querySelector('#text'); editor.value = {json.dumps(text)};"
        " editor.dispatchEvent(new Event('input')); }"
    )


def texts(page: Page, selector: str) -> list[str]:
    return list(page.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.innerText)"))


def focused(page: Page) -> str | None:
    """The index of the token that has the focus."""
    found = page.run("document.activeElement.dataset.index ?? null")
    return None if found is None else str(found)


def cards(page: Page) -> list[tuple[str, str]]:
    """Who speaks, and what, of each message that is shown."""
    return [
        (who, text)
        for who, text in page.run(
            "[...document.querySelectorAll('#sides article')].map((card) =>"
            " [card.querySelector('.who').textContent, card.querySelector('.text').textContent])"
        )
    ]


# -- what is there -----------------------------------------------------------------------------------------


def test_every_token_is_there_and_tells_about_itself(show: Callable[..., Page]) -> None:
    page = show()
    chips = page.run("[...document.querySelectorAll('#tokens .chip')].map((chip) => chip.textContent)")
    assert len(chips) == len(TOKENS) + 1
    wanted = [ENCODING.decode([token]).replace("\n", "↵\n") for token in TOKENS]
    assert chips[:-1] == wanted
    view = answer({"ask": "view", "source": TOY.model_dump()})
    for index in (0, 1, 30, 121, len(TOKENS) - 1):
        page.hover(f"[data-index='{index}']")
        detail = page.wait(
            f"document.querySelector('#token .number').textContent === '#{index}' &&"
            " document.querySelector('#token').textContent"
        )
        token = view["tokens"][index]
        assert f"id {token['id']}" in detail
        assert token["bytes"] in detail
        assert f"{token['part']} of message {token['message']}" in detail
        after = view["recover"]["states"][index + 1]
        assert after in detail
        parser = StreamableParser(None)
        parser.feed(TOKENS[: index + 1])
        assert all(name in detail for name in expected(parser.grammar_state))
    page.hover("[data-index='121']")
    assert page.wait("document.querySelector('#token').textContent.includes(\"In the content of analysis\")")


def test_the_messages_are_those_of_the_parser(show: Callable[..., Page]) -> None:
    page = show()
    found = ENCODING.parse(TOKENS).messages
    assert [text for _, text in cards(page)] == [message.text for message in found]
    assert [who for who, _ in cards(page)][-3:] == [
        "assistant → functions.get_weather",
        "functions.get_weather → assistant",
        "assistant",
    ]
    assert "strict and recover agree" in texts(page, "#verdict")


def test_the_slider_replays_the_stream(show: Callable[..., Page]) -> None:
    page = show()
    for position in (0, 1, 60, 117, 125, 129, 150, len(TOKENS)):
        page.run(
            f"{{ const slider = document.querySelector('#slider'); slider.value = {position};"
            " slider.dispatchEvent(new Event('input')); }"
        )
        parser = StreamableParser(None)
        parser.feed(TOKENS[:position])
        wanted = [message.text for message in parser.messages]
        if parser.state.value == "Content":
            wanted.append(parser.current_content)
        assert [text for _, text in cards(page)] == wanted
        assert page.run("document.querySelectorAll('.chip.future').length") == len(TOKENS) + 1 - position


def test_it_plays_and_pauses(show: Callable[..., Page]) -> None:
    page = show()
    choose(page, "#example", EXAMPLES.index(next(e for e in EXAMPLES if e.name.startswith("M2 "))))
    page.click("#play")
    page.wait("Number(document.querySelector('#slider').value) > 2")
    assert page.run("document.querySelector('#play').ariaLabel") == "Pause"
    page.click("#play")
    at = page.run("document.querySelector('#slider').value")
    assert page.run("document.querySelector('#play').ariaLabel") == "Play"
    page.click("#back")
    assert page.run("document.querySelector('#slider').value") == str(int(at) - 1)
    page.click("#play")
    page.wait("document.querySelector('#play').ariaLabel === 'Play'")
    assert page.run("document.querySelector('#slider').value === document.querySelector('#slider').max")


# -- malformations -----------------------------------------------------------------------------------------


def test_a_broken_stream_is_read_side_by_side(show: Callable[..., Page]) -> None:
    page = show()
    break_it(page, "M2")
    view = answer({"ask": "view", "source": TOY.model_dump(), "pattern": "M2"})
    error = view["strict"]["error"]
    assert texts(page, "#sides h3") == ["Both", "Strict", "Recover"]
    assert error["reason"] in texts(page, ".refusal")[0]
    assert f"token {error['token']}" in texts(page, ".refusal")[0]
    assert "missing_message" in texts(page, ".repairs")[0]
    page.click(".refusal .link")
    assert focused(page) == str(error["token"])
    assert page.run("document.activeElement.classList.contains('refused')")
    assert "refused" in texts(page, "#token")[0]
    assert page.run("document.querySelector('[data-pattern=M2]').ariaPressed") == "true"
    page.click("#operators button")
    page.wait("document.querySelector('#done').hidden")
    assert texts(page, "#sides h3") == []


def test_again_is_another_way(show: Callable[..., Page]) -> None:
    page = show()
    seen = set()
    for _ in range(6):
        break_it(page, "M14")
        seen.add(page.run("document.querySelector('#done').textContent"))
    assert len(seen) > 1


def test_every_malformed_example_is_shown(show: Callable[..., Page]) -> None:
    page = show()
    firsts = {example.group: index for index, example in reversed(list(enumerate(EXAMPLES)))}
    for index in firsts.values():
        choose(page, "#example", index)
        view = answer({"ask": "view", "source": EXAMPLES[index].source.model_dump()})
        assert page.run("document.querySelectorAll('#tokens .chip').length") == len(view["tokens"]) + 1
        assert len(texts(page, ".refusal")) == (view["strict"]["error"] is not None)
        assert texts(page, "#verdict") == [
            "strict and recover agree" if view["agree"] else "strict and recover differ"
        ]


# -- the editor --------------------------------------------------------------------------------------------


def test_what_is_typed_is_looked_at_and_mistakes_are_named(show: Callable[..., Page]) -> None:
    page = show()
    edit(page, '{"messages": [{"role": "user", "content": "Hi"}')
    page.wait("document.querySelector('#trouble').textContent.startsWith('line 1, column 48: ')")
    edit(page, '[{"role": "user", "content": "Hi there"}]')
    page.wait("document.querySelector('#trouble').textContent === ''")
    assert cards(page) == [("user", "Hi there")]
    choose(page, "#render", "prompt")
    assert texts(page, "#tokens .group .label")[1] == "a header still open"
    page.run("document.querySelector('#kind').value = 'text'")
    edit(page, "<|channel|>final<|message|>Yes.<|return|>")
    page.wait("document.querySelector('#sides').textContent.includes('Yes.')")
    assert cards(page) == [("assistant", "Yes.")]


# -- the keyboard, small screens, the dark -----------------------------------------------------------------


def test_everything_works_with_the_keyboard(show: Callable[..., Page]) -> None:
    page = show()
    for _ in range(60):
        page.press("Tab")
        if focused(page) is not None:
            break
    assert focused(page) == "0"
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for key, wanted in [
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("End", len(TOKENS)),
        ("Home", 0),
        ("ArrowLeft", 0),
        ("PageDown", next(i for i in range(1, 99) if TOKENS[i] == TOKENS[0])),
        ("PageUp", 0),
    ]:
        page.press(key)
        assert focused(page) == str(wanted), key
    page.press("ArrowDown")
    below = page.run("document.activeElement.getBoundingClientRect().top")
    assert focused(page) != "0"
    page.press("ArrowUp")
    assert page.run("document.activeElement.getBoundingClientRect().top") < below
    page.press("Home")
    for _ in range(5):
        page.press("ArrowRight")
    page.press("Enter")
    assert page.run("document.querySelector('#slider').value") == "6"
    page.press("Tab")
    names = []
    for _ in range(5):
        names.append(page.run("document.activeElement.id"))
        page.press("Tab")
    assert names == ["first", "back", "play", "forth", "slider"]


def test_tabs_and_buttons_work_with_the_keyboard(show: Callable[..., Page]) -> None:
    page = show()
    page.press("Tab")
    assert page.run("document.activeElement.id") == "tab-stream"
    page.press("ArrowRight")
    assert page.run("document.activeElement.id") == "tab-schema"
    assert page.run("document.querySelector('#panel-stream').hidden")
    page.press("ArrowLeft")
    page.run("document.querySelector('[data-pattern=M10]').focus()")
    page.press("Enter")
    page.wait("document.querySelector('#done').textContent.startsWith('M10')")


def test_everything_has_a_name_for_those_who_cannot_see(show: Callable[..., Page]) -> None:
    page = show()
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]
    ]
    controls = {"button", "combobox", "textbox", "slider", "listbox", "tab", "option", "tabpanel", "group"}
    assert [role for role, name in named if role in controls and not name] == []
    options = [name for role, name in named if role == "option" and re.match(r"token \d", name)]
    assert len(options) == len(TOKENS)
    assert options[0] == "token 0: <|start|>, header"
    assert {"listbox", "tablist", "slider", "region"} <= {role for role, _ in named}


@pytest.mark.parametrize("width", [375, 800, 1024, 1440])
def test_nothing_is_wider_than_the_screen(show: Callable[..., Page], width: int) -> None:
    page = show(width=width, height=812)
    page.run("document.querySelector('[data-pattern=M6]').click()")
    page.wait("document.querySelector('#done').textContent")
    assert page.run("document.documentElement.scrollWidth") <= width
    outside = page.run(
        "[...document.querySelectorAll('main:not([hidden]) *')].filter((e) => e.getClientRects().length &&"
        " e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.id || e.className || e.tagName)"
    )
    assert outside == []
    page.click("#tab-schema")
    assert page.run("document.documentElement.scrollWidth") <= width


CONTRAST = """
(() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c;
  } return [255, 255, 255]; };
  const poor = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length || e.closest('.sign, :disabled')) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([e.id || e.className || e.tagName, ratio.toFixed(2)]);
  }
  return poor;
})()
"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_in_light_and_in_the_dark(show: Callable[..., Page], dark: bool) -> None:
    page = show(dark=dark)
    background = page.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(", "))) < 200) is dark
    for pattern in ("M2", "M15", "M16"):
        break_it(page, pattern)
        assert page.run(CONTRAST) == []


# -- schemas -----------------------------------------------------------------------------------------------


def test_schemas_are_shown_in_both_styles(show: Callable[..., Page]) -> None:
    page = show()
    page.click("#tab-schema")
    tool = page.run("document.querySelector('#schema-text').value")
    assert json.loads(tool)["name"] == "get_weather"
    text = json.dumps({"name": "f", "parameters": {"type": "object", "properties": {"a": {"enum": [1, 2]}}}})
    page.run(
        "document.querySelector('#schema-text').focus(); document.querySelector('#schema-text').select()"
    )
    page.type(text)
    page.wait("document.querySelector('#extended').textContent.includes('1 | 2')")
    found = answer({"ask": "typescript", "text": text})
    for style in ("upstream", "extended"):
        shown = page.run(f"[...document.querySelectorAll('#{style} .line')].map((line) => line.textContent)")
        assert [line[1:-1] for line in shown] == [line for line, _ in found[style]["lines"]]
    page.type("{")
    page.wait("document.querySelector('#schema-trouble').textContent.startsWith('line 1')")


# -- what is hostile ---------------------------------------------------------------------------------------

MARKUP = (
    "</script><script>document.body.dataset.hacked = 1</script>"
    "<img src=x onerror='document.body.dataset.hacked = 1'>"
    "<iframe src='javascript:parent.document.body.dataset.hacked=1'></iframe><style>*{display:none}</style>"
    "<a href='javascript:1'>a</a>&lt;b&gt; \u202e reversed \u0000 \U000e0041"
)


def hostile() -> str:
    tool = {"name": "f", "description": MARKUP, "parameters": {"type": "object", "description": MARKUP}}
    functions = {"name": "functions", "description": MARKUP, "tools": [tool]}
    return json.dumps(
        [
            {
                "role": "developer",
                "content": [
                    {"type": "developer_content", "instructions": MARKUP, "tools": {"functions": functions}}
                ],
            },
            {"role": "user", "content": MARKUP},
            {"role": "assistant", "channel": "commentary", "recipient": "functions.f", "content": MARKUP},
            {"role": "tool", "name": "functions.f", "content": MARKUP},
            {"role": "assistant", "channel": "final", "content": MARKUP},
        ]
    )


HEADERS = (
    "<|start|><img/src=x> to=<u>f</u><|channel|><i>x</i><|constrain|><s><|message|>onerror<|end|>"
    "<|start|>assistant:<b>b</b> to=functions.<u><|channel|><a/href=x><|message|>{}<|call|>"
)


def is_unharmed(page: Page) -> None:
    assert page.run("document.body.dataset.hacked ?? null") is None
    assert page.run("document.querySelectorAll('script').length") == 2
    assert (
        page.run(
            "document.querySelectorAll('main img, main iframe, main style, main a, main u, main s').length"
        )
        == 0
    )


def test_hostile_texts_stay_texts(show: Callable[..., Page], inspector: Inspector) -> None:
    page = show()
    edit(page, hostile())
    page.wait("document.querySelector('#sides').textContent.includes('onerror')")
    is_unharmed(page)
    shown = "\n".join(text for _, text in cards(page))
    assert "<script>document.body.dataset.hacked = 1</script>" in shown
    assert "U+202E" in shown
    assert "U+E0041" in shown
    for pattern in page.run("[...document.querySelectorAll('[data-pattern]')].map((b) => b.dataset.pattern)")[
        ::4
    ]:
        break_it(page, pattern)
        is_unharmed(page)
    page.run("document.querySelector('#kind').value = 'text'")
    edit(page, HEADERS)
    page.wait("document.querySelector('#sides').textContent.includes('<u>')")
    is_unharmed(page)
    page.run("document.querySelector('#kind').value = 'conversation'")
    edit(page, hostile())
    page.click("#tab-schema")
    page.wait("document.querySelector('#upstream').textContent.includes('onerror')")
    is_unharmed(page)
    assert {url for url in page.requests() if not url.startswith("data:")} <= {
        inspector.url,
        f"{inspector.url}answer",
    }


def test_the_browser_enforces_it(browser: Browser, inspector: Inspector) -> None:
    """Were there a mistake in the page's script, the policy would stop it."""
    page = browser.page(inspector.url)
    page.wait("document.body.dataset.masked")
    set_markup = (
        "(() => { try { document.body.innerHTML = 'x'; return 'set'; } catch (e) { return e.name; } })()"
    )
    assert page.run(set_markup) == "TypeError"
    page.run(
        "{ const image = document.createElement('img'); image.src = 'http://127.0.0.1:9/x.png';"
        " document.body.append(image);"
        " const style = document.createElement('style'); style.textContent = 'body { display: none }';"
        " document.head.append(style); }"
    )
    assert page.run("getComputedStyle(document.body).display") == "flex"
    assert page.run("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'stopped')") == "stopped"
    assert any("Content Security Policy" in problem for problem in page.problems())
    page.close()


def test_a_server_that_has_gone_is_told(browser: Browser) -> None:
    with Inspector(EXAMPLES[:1]) as inspector:
        page = browser.page(inspector.url)
        page.wait("document.body.dataset.masked")
    edit(page, "[]")
    page.wait("document.querySelector('#trouble').textContent.startsWith('The server does not answer.')")
    page.close()


def test_the_shortest_and_the_longest_streams(show: Callable[..., Page]) -> None:
    page = show()
    edit(page, "[]")
    page.wait("document.querySelector('#count').textContent === '0 tokens'")
    assert texts(page, "#tokens .chip") == ["end of stream"]
    assert texts(page, "#sides .empty") == ["No message yet: between messages."]
    page.run("document.querySelector('#kind').value = 'text'")
    paste(page, "<|channel|>final<|message|>" + "a b\n" * 3000)
    page.wait("document.querySelector('#count').textContent === '9,003 tokens'")
    page.click("#back")
    assert page.run("document.querySelectorAll('.chip.future').length") == 1
    paste(page, "a b\n" * 4000)
    page.wait("document.querySelector('#trouble').textContent.startsWith('too long: ')")


# -- a saved page ------------------------------------------------------------------------------------------


def test_a_saved_page_needs_nothing_else(show: Callable[..., Page], tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    small = [
        *json.loads(TOY.text)["messages"][1:2],
        {"role": "assistant", "channel": "final", "content": "Hi."},
    ]
    examples = [conversation("small", small), conversation(MARKUP, json.loads(hostile()))]
    path.write_text(export(examples), "utf-8")
    page = show(path.as_uri())
    assert page.run("document.querySelector('#text').readOnly")
    assert page.run("document.querySelector('#kind').disabled")
    assert not page.run("document.querySelector('#saved').hidden")
    tokens = open_source(examples[0].source).tokens
    assert page.run("document.querySelectorAll('#tokens .chip').length") == len(tokens) + 1
    seen = set()
    for _ in range(4):
        break_it(page, "M14")
        seen.add(page.run("document.querySelector('#done').textContent"))
    assert len(seen) == 2
    choose(page, "#example", 1)
    assert "onerror" in page.run("document.querySelector('#sides').textContent")
    is_unharmed(page)
    page.click("#tab-schema")
    assert "get_weather" in page.run("document.querySelector('#upstream').textContent")
    assert {url for url in page.requests() if not url.startswith("data:")} == {path.as_uri()}


# -- the document ------------------------------------------------------------------------------------------


def test_the_pictures_of_the_document_are_there() -> None:
    folder = Path(__file__).parents[2] / "docs"
    named = re.findall(r"!\[.+?\]\((.+?)\)", (folder / "inspector.md").read_text("utf-8"))
    assert sorted(named) == sorted(f"pictures/{name}.png" for name in PICTURES)
    for name in named:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
        assert (folder / name).stat().st_size < 150_000
