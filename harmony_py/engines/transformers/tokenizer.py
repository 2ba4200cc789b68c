"""`tokenizer()`: the embedded vocabulary as a fast tokenizer of transformers, made offline."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from transformers import PreTrainedTokenizerFast

from harmony_py.engines.merges import merges, printable
from harmony_py.engines.transformers.template import response_template
from harmony_py.tokenizer import vocab
from harmony_py.tokenizer.reference import pattern
from harmony_py.tokenizer.special import ENCODABLE, END_OF_TEXT, RETURN, START_OF_TEXT

if TYPE_CHECKING:
    import tokenizers

MAX_LENGTH: Final = 131_072
"""Tokens that the models' context holds."""


def tokenizer() -> PreTrainedTokenizerFast:
    """The ids of `Tokenizer.o200k_harmony`, with the attributes that transformers' own code looks for.

    As everywhere in transformers, text that spells a control token becomes one; with
    `split_special_tokens=True` it stays text. The response template is `response_template()`. There is no
    chat template: render with `HarmonyEncoding`, which needs none. Takes some seconds; `save_pretrained`
    keeps the result.
    """
    names = _names()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call, unused-ignore]
        tokenizer_object=_tokenizer(),
        bos_token=names[START_OF_TEXT],
        eos_token=names[RETURN],
        pad_token=names[END_OF_TEXT],
        padding_side="left",
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
        response_template=response_template(),
    )


def _tokenizer() -> tokenizers.Tokenizer:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    tokens = vocab.tokens()
    names = printable(tokens)
    table = {name: rank for rank, name in enumerate(names)}
    made = Tokenizer(BPE(table, merges(tokens, names), ignore_merges=True))
    split = pre_tokenizers.Split(Regex(_pattern()), behavior="isolated")
    in_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([split, in_bytes])
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(
        [AddedToken(name, normalized=False, special=True) for _, name in sorted(_names().items())]
    )
    return made


def _names() -> dict[int, str]:
    """One name for each control token's id; they leave no gap behind the vocabulary."""
    return {token: name for name, token in ENCODABLE.items()}


def _pattern() -> str:
    """The o200k pattern as the regular expressions of tokenizers spell it, character for character."""
    return re.sub(r"\\U([0-9a-f]{8})", r"\\x{\1}", pattern().pattern)
