"""Citations: however a text is cut, the same links come out, and where they are said to be."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.chat.citations import Citation, CitationStream, Cited, normalize_citations

PAGES = {0: "https://a.example/x", 12: "file:///guide/start.md", 3: "http://e.example/a b)](c[\n"}
PIECE = st.sampled_from(
    [
        "【",
        "】",
        "†",
        "0",
        "12",
        "3",
        "4",
        "L1",
        "L2-L9",
        "【0†L1】",
        "【12†L2-L9】",
        "【3†x†y】",
        "【4†L1】",
        "【0†",
        " ",
        "\n",
    ]
)
TEXTS = st.lists(PIECE | st.text(max_size=3), max_size=15).map("".join)


def test_a_citation_becomes_a_link() -> None:
    assert normalize_citations("Blue【0†L9-L11】, they say【7†L1】.", PAGES) == Cited(
        "Blue ([a.example](https://a.example/x)) , they say【7†L1】.",
        (Citation(4, 40, "a.example", "https://a.example/x"),),
    )
    assert Citation(4, 40, "a.example", "u").to_dict() == {
        "type": "url_citation",
        "start_index": 4,
        "end_index": 40,
        "title": "a.example",
        "url": "u",
    }


@pytest.mark.parametrize(
    ("text", "now"),
    [
        ("a【", "a"),
        ("a【1", "a"),
        ("a【12†L", "a"),
        ("a【12†L†x", "a"),
        ("a【b", "a【b"),
        ("a【†", "a【†"),
        ("【0†x】【1", " ([a.example](https://a.example/x)) "),
        ("【0†" + "x" * 201, "【0†" + "x" * 201),
    ],
)
def test_what_may_become_a_citation_is_held_back(text: str, now: str) -> None:
    stream = CitationStream(PAGES)
    assert stream.feed(text).text == now
    assert now + stream.finish().text == normalize_citations(text, PAGES).text


@given(st.lists(TEXTS, max_size=6))
def test_pieces_give_what_the_whole_gives(pieces: list[str]) -> None:
    stream = CitationStream(PAGES)
    made = [*map(stream.feed, pieces), stream.finish()]
    whole = normalize_citations("".join(pieces), PAGES)
    assert "".join(each.text for each in made) == whole.text
    assert tuple(citation for each in made for citation in each.citations) == whole.citations


@given(TEXTS)
def test_links_are_where_they_are_said_to_be_and_the_rest_stays(text: str) -> None:
    cited = normalize_citations(text, PAGES)
    rest, at = [], 0
    for citation in cited.citations:
        rest.append(cited.text[at : citation.start])
        link = cited.text[citation.start : citation.end]
        assert re.fullmatch(r" \(\[[^\[\]]+\]\([^()\[\]\s]+\)\) ", link)
        assert citation.url in PAGES.values()
        at = citation.end
    rest.append(cited.text[at:])
    known = r"【0*(?:0|12|3)†[^【†】]{1,200}(?:†[^【†】]{0,200})?】"
    assert "\0".join(rest) == re.sub(known, "\0", text) or "\0" in text
