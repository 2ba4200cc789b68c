"""The toy's embedding and unembedding, computed from the tokens' text: no row is stored, none was learned.

A token's code is 128 signs. The first 112 come from a hash of its text, less a space at its beginning; the
last sixteen say whether there was one. Codes of different words are nearly at right angles, so that a head
that copies codes copies any word there is, also one that was in no training conversation; and a word behind
a space is told from the same word behind a quote by the last sixteen alone.

Unembedding turns the code by a quarter: each token's row there is at right angles with its own row in the
embedding, so that a token never speaks for itself being next.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import torch

from harmony_py.errors import CheckpointError
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import N_VOCAB

if TYPE_CHECKING:
    from torch import Tensor

WIDTH: Final = 128
SPACE_SIGNS: Final = 16
LOGIT_SCALE: Final = 2.0**-4
"""The size of the unembedding's numbers. The model's last norm learns the rest."""

SHA256: Final = "404cadbb66a0f286c64ce367b587b02acda20af657a817c5e78449d908eb5468"
"""Of the signs, a bit each, 16 bytes a token."""


def embedding() -> Tensor:
    """The codes of all tokens: bfloat16 [201088, 128], 1 and -1."""
    tokenizer = Tokenizer.o200k_harmony()
    octets = bytearray(b"".join(map(_code, map(tokenizer.decode_single_token_bytes, range(N_VOCAB)))))
    if (found := hashlib.sha256(octets).hexdigest()) != SHA256:
        raise CheckpointError(f"the toy's embedding: expected sha256 {SHA256}, found {found}")
    bits = torch.frombuffer(octets, dtype=torch.uint8).view(N_VOCAB, -1, 1) >> torch.arange(
        8, dtype=torch.uint8
    )
    return (bits & 1).flatten(1).to(torch.bfloat16) * 2 - 1


def _code(text: bytes) -> bytes:
    word = hashlib.blake2b(text.removeprefix(b" "), digest_size=(WIDTH - SPACE_SIGNS) // 8).digest()
    return word + (b"\xff" if text.startswith(b" ") else b"\0") * (SPACE_SIGNS // 8)


def unembedding(codes: Tensor) -> Tensor:
    """The codes turned by a quarter: bfloat16 [201088, 128]."""
    first, second = codes.chunk(2, dim=1)
    return torch.cat((second, -first), dim=1) * LOGIT_SCALE
