"""llguidance, which does the work on text: our vocabulary as it needs it, grammars compiled and probed."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Final

from harmony_py.constrain import bits
from harmony_py.constrain.lark import lark
from harmony_py.constrain.shape import JsonText, RegexText, Token, seq
from harmony_py.constrain.walk import subschemas
from harmony_py.errors import ConstraintError
from harmony_py.tokenizer import Tokenizer, vocab
from harmony_py.tokenizer.special import END, END_OF_TEXT, MESSAGE, N_VOCAB, SPECIAL_TOKENS, START_OF_TEXT

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

    from harmony_py.constrain.shape import Shape
    from harmony_py.constrain.spec import TurnSpec

KEPT_GRAMMARS: Final = 32
KEPT_BODIES: Final = 1024
PROBED: Final = 4
"""Tokens of a body that are tried in advance."""

MOST_SUSPECTS: Final = 200
"""Parts of a schema that are tried on their own, to find the one that the engine refuses."""


class _Vocabulary:
    """What `llguidance.TokenizerWrapper` asks of a tokenizer."""

    eos_token_id = END_OF_TEXT
    bos_token_id = None
    special_token_ids = range(START_OF_TEXT, N_VOCAB)

    def __init__(self) -> None:
        names = {token: name.encode() for name, token in SPECIAL_TOKENS.items()}
        self.tokens = vocab.tokens() + [names[token] for token in self.special_token_ids]

    def __call__(self, text: bytes) -> list[int]:
        return Tokenizer.o200k_harmony().encode_ordinary(text.decode())


@functools.cache
def vocabulary() -> LLTokenizer:
    """The process's one vocabulary: under a second to build, some 100 MB.

    Only `<|endoftext|>` ends a text for it, so that `<|return|>` and `<|call|>` are tokens of the grammar.
    """
    try:
        from llguidance import LLTokenizer, TokenizerWrapper
    except ImportError:
        raise ImportError("masks need llguidance: pip install 'harmony-py[constrain]'") from None
    return LLTokenizer(TokenizerWrapper(_Vocabulary()), n_vocab=N_VOCAB, eos_token=END_OF_TEXT)


def matcher(spec: TurnSpec, shape: Shape) -> LLMatcher:
    """A matcher for `shape`, a turn of `spec`; `ConstraintError` names what the engine cannot do."""
    if isinstance(spec.answer, (JsonText, RegexText)):
        _check(spec.answer, "final.schema" if isinstance(spec.answer, JsonText) else "final.pattern")
    for callee in spec.callees:
        if isinstance(callee.body, JsonText):
            _check(callee.body, f"tool {callee.recipient!r}, parameters")
    return _compiled(lark(shape)).deep_copy()


@functools.lru_cache(maxsize=KEPT_GRAMMARS)
def _compiled(grammar: str) -> LLMatcher:
    compiled = _new(grammar)
    if compiled.is_error():
        raise ConstraintError(reason(compiled), "the specification as a whole")
    return compiled


def _check(body: JsonText | RegexText, where: str) -> None:
    problem = _problem(body)
    if problem is None:
        return
    if isinstance(body, JsonText):
        where += _culprit(body.schema, problem)
    raise ConstraintError(problem, where)


@functools.lru_cache(maxsize=KEPT_BODIES)
def _problem(body: JsonText | RegexText) -> str | None:
    """What is wrong with a body by itself. Some things the engine notices only when it has come to them, and
    most of these at the beginning: so a few tokens are tried."""
    alone = _new(lark(seq(Token(MESSAGE), body, Token(END))))
    token = MESSAGE
    for _ in range(PROBED):
        alone.consume_token(token)
        mask = alone.compute_bitmask()
        if alone.is_error():
            return reason(alone)
        token = next(bits.ids(mask))
        if token == END_OF_TEXT:
            return None if alone.is_stopped() and alone.is_accepting() else "nothing fits it"
    return None


def _culprit(schema: str, problem: str) -> str:
    """The place of the innermost part that has the same problem all by itself."""
    suspects = list(subschemas(json.loads(schema), ""))[1 : MOST_SUSPECTS + 1]
    guilty = [place for part, place in suspects if _problem(JsonText(json.dumps(part))) == problem]
    return max(guilty, key=len, default="")


def _new(grammar: str) -> LLMatcher:
    tokens = vocabulary()
    from llguidance import LLMatcher, LLParserLimits

    return LLMatcher(tokens, grammar, log_level=0, limits=LLParserLimits(verbose_errors=False))


def reason(matcher: LLMatcher) -> str:
    """Why the engine gave up, without the grammar, the state or the stack that it shows behind it."""
    text = matcher.get_error()
    for extra in ("<state>", "<backtrace>", "<non-verbose/>", "\n   1 |"):
        text = text.partition(extra)[0]
    # What it says where there is nothing more to say, and the text is not yet whole.
    return "nothing fits it" if "NoExtension" in text else " ".join(text.removeprefix("at ").split())


# -- characters --------------------------------------------------------------------------------------------


@functools.cache
def whole_tokens() -> bytes:
    """A mask of the tokens, control tokens too, that neither begin nor end within a character."""
    return bits.of([*_whole(), *range(START_OF_TEXT, N_VOCAB)])


@functools.cache
def byte_tokens() -> bytes:
    """A mask of the tokens that are a single byte."""
    core = Tokenizer.o200k_harmony()
    return bits.of(core.encode_single_token(bytes([byte])) for byte in range(256))


def _whole() -> list[int]:
    whole = []
    for token, spelled in enumerate(vocab.tokens()):
        try:
            spelled.decode()
        except UnicodeDecodeError:
            continue
        whole.append(token)
    return whole
