"""The toy's embedding and unembedding, computed from the tokens' text: none of their rows is stored or learned.

A token's code is 128 signs. The first 120 come from a hash of its text, less a space at its beginning; the
last eight say whether there was one. Codes of different words are nearly at right angles, so that a head
that copies codes copies any word there is, also one that was in no training conversation; and a word behind
a space is told from the same word behind a quote by the last eight alone.

Unembedding turns the code by a quarter: each token's row there is at right angles with its own row in the
embedding, so that a token never speaks for itself being next.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import torch

from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import N_VOCAB

if TYPE_CHECKING:
    from torch import Tensor

WIDTH: Final = 128
SPACE_SIGNS: Final = 8
LOGIT_SCALE: Final = 2.0**-4
"""The size of the unembedding's numbers. The model's last norm learns the rest."""


def embedding() -> Tensor:
    """The codes of all tokens: bfloat16 [201088, 128], 1 and -1."""
    tokenizer = Tokenizer.o200k_harmony()
    texts = [tokenizer.decode_single_token_bytes(token) for token in range(N_VOCAB)]
    size = (WIDTH - SPACE_SIGNS) // 8
    digests = b"".join(
        hashlib.blake2b(text.removeprefix(b" "), digest_size=size).digest()
        + (b"\xff" if text.startswith(b" ") else b"\x00")
        for text in texts
    )
    octets = torch.frombuffer(bytearray(digests), dtype=torch.uint8).view(N_VOCAB, size + 1, 1)
    bits = (octets >> torch.arange(8, dtype=torch.uint8)) & 1
    return bits.flatten(1).to(torch.bfloat16) * 2 - 1


def unembedding(codes: Tensor) -> Tensor:
    """The codes turned by a quarter: bfloat16 [201088, 128]."""
    first, second = codes.chunk(2, dim=1)
    return torch.cat((second, -first), dim=1) * LOGIT_SCALE
