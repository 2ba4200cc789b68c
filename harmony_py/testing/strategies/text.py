"""Random texts that a tokenizer meets: prose, code, chats, mixed scripts, and what nobody would type."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from harmony_py.tokenizer.special import SPECIAL_TOKENS

_PROSE = """
    the quick brown fox's don't WE'LL I'm they'd naïve café Straße ſ'ſ HTTPServer camelCase snake_case
    x1y2z3 1234567 3.14 e-mail supercalifragilistic Übergröße İstanbul ΑΒΓαβγ привет Москва
    日本語 東京タワー 안녕하세요 你好世界 مرحبا שלום สวัสดีครับ नमस्ते 😀 👨‍👩‍👧‍👦 🇩🇪 é Å ½ ² Ⅷ
"""  # noqa: RUF001  # odd characters are what this is about
_WORDS = _PROSE.split()
_SPACES = [" ", "  ", "    ", "\n", "\n\n", "\r\n", "\t", " \n", "\n  ", "\u00a0", "\u3000", "\u2028", "\x85"]
_SYMBOLS = [
    "!",
    "...",
    "/",
    "//",
    "\n/",
    "'",
    "''",
    "'s",
    "'RE",
    '"',
    "{",
    "}",
    "();",
    " ->",
    "==",
    "#",
    "\u0301",
]
_CODE = [
    "def f(x):\n    return x + 1\n",
    "for (let i = 0; i < n; i++) {\n\t\ta[i] += 2;\n}\n",
    "SELECT * FROM t WHERE id = 'x' -- why\n",
    "/* a */ // b\n#include <stdio.h>\r\n",
    "https://example.com/a/b?c=d&e=%20f#g",
]
_LOOKALIKES = [
    "<|",
    "|>",
    "<|start|",
    "<|end|>",
    "<| end|>",
    "<|<|end|>",
    "<|start|>user<|message|>",
    "<|é|>",
]
_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(_WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=3),
    max_leaves=8,
)
_json = st.builds(
    json.dumps, _json_values, ensure_ascii=st.booleans(), indent=st.sampled_from([None, 0, 2, 4])
)

runs = st.builds(
    lambda unit, count: unit * count,
    st.sampled_from([*"a! \n1日é'/", "\r\n", "ab", " \n", "aA", "\u0301", "日本", "\t ", "<|", "😀"]),
    st.integers(1, 400),
)
"""The same again and again: what makes a careless tokenizer slow."""

_NAMED = [name for name in SPECIAL_TOKENS if "reserved" not in name]
spelled_tokens = (
    st.sampled_from(_NAMED) | st.sampled_from(_LOOKALIKES) | st.sampled_from(sorted(SPECIAL_TOKENS))
)
"""Control tokens' names, and what resembles them."""

surrogates = st.characters(categories=["Cs"])
"""Code points that no UTF-8 can express. Two of them in a row may make one character."""

combining_marks = st.builds(
    lambda base, marks: base + "".join(marks),
    st.sampled_from([*"aeo가", "👍", ""]),
    st.lists(
        st.characters(categories=["Mn", "Me"]) | st.sampled_from(["\u200d", "\ufe0f", "🏽"]), max_size=4
    ),
)
"""A character and what is put on top of it: marks, joiners, skin tones."""

_characters = st.characters(exclude_categories=["Cs"])
texts = st.lists(
    st.one_of(
        st.text(_characters, max_size=6),
        st.sampled_from(_WORDS),
        st.sampled_from(_SPACES),
        st.sampled_from(_SYMBOLS),
        st.sampled_from(_CODE),
        st.text("aB1 \n'/é日\u0301", max_size=8),
        _json,
        combining_marks,
        runs,
        spelled_tokens,
    ),
    max_size=24,
).map("".join)
"""Any of it in a row. No surrogates."""

texts_with_surrogates = st.lists(texts | surrogates, max_size=8).map("".join)


@st.composite
def chunked(draw: st.DrawFn, whole: st.SearchStrategy[str] = texts) -> tuple[str, list[str]]:
    """A text, and the same text in chunks of any lengths."""
    text = draw(whole)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return text, [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


prose = st.sampled_from(
    [
        "Hi.",
        "The answer is 4.",
        "We  need\n\n- this\n- that\n",
        "Łódź, 漢字.",
        "Über 👍🏽",
    ]
) | st.text("abc é\n.", max_size=8).map("A".__add__)
"""What can only be content, wherever it stands: it begins with a capital letter, as no header does."""
