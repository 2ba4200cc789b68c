"""Batches of conversations, and the loss on them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy

from harmony_py.model.toy_checkpoint.codes import embedding, unembedding
from harmony_py.tokenizer import Tokenizer
from harmony_py.tokenizer.special import N_VOCAB
from training.conversations import sample
from training.model import states
from training.names import Names

if TYPE_CHECKING:
    import random

    from torch import Tensor

    from harmony_py.model.weights import Weights
    from training.conversations import Sample

STRANGERS = 768
"""Tokens of the vocabulary that stand, in each batch's softmax, for all that do not occur in the batch."""

TURNS = (1, 1, 1, 2, 3, 5)
"""How many turns a conversation has, each as likely as the others."""


class Lessons:
    """Draws conversations, and tells how well weights would continue them."""

    def __init__(self, random: random.Random) -> None:
        self._random = random
        self._names = Names()
        self._embedding = embedding()
        self._unembedding = unembedding(self._embedding).float()
        self._twins = twins()

    def batch(self, tokens: int, *, bare: bool = False) -> list[Sample]:
        """Conversations of at least so many tokens together."""
        samples: list[Sample] = []
        while sum(len(each.tokens) for each in samples) < tokens:
            turns = self._random.choice(TURNS[:-2] if bare else TURNS)
            samples.append(sample(self._random, self._names, turns, bare=bare))
        return samples

    def loss(self, weights: Weights, samples: list[Sample]) -> tuple[Tensor, float]:
        """The loss a token, and the share of tokens that were the likeliest.

        The softmax is over the tokens of the batch, those that a space alone tells from them, and some
        strangers. Each stranger counts for as many as there are, so that the loss is, but for chance, that
        over the whole vocabulary.
        """
        ids, wanted = padded(samples)
        predicted, targets = self._predicted(weights, ids, wanted)
        known = torch.unique(torch.cat((ids, self._twins[ids])))
        strangers = torch.randint(N_VOCAB, (STRANGERS,))
        strangers = strangers[~torch.isin(strangers, known)]
        each_counts_for = math.log((N_VOCAB - len(known)) / len(strangers))
        logits = predicted @ self._unembedding[torch.cat((known, strangers))].T
        logits = logits + torch.cat((torch.zeros(len(known)), torch.full((len(strangers),), each_counts_for)))
        places = torch.searchsorted(known, targets)
        return cross_entropy(logits, places), (logits.argmax(1) == places).float().mean().item()

    @torch.no_grad()
    def exact(self, weights: Weights, samples: list[Sample]) -> list[bool]:
        """Which conversations come out word for word when the likeliest token of all is always taken."""
        found = []
        for each in samples:
            predicted, targets = self._predicted(weights, *padded([each]))
            likeliest = (predicted @ self._unembedding.T).argmax(1)
            found.append(bool((likeliest == targets).all()))
        return found

    def _predicted(self, weights: Weights, ids: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """The states that the wanted tokens are predicted from, and these tokens."""
        behind = states(weights, self._embedding[ids].float())
        return behind[:, :-1][wanted[:, 1:]], ids[:, 1:][wanted[:, 1:]]


def twins() -> Tensor:
    """For each token the one that a space at the beginning tells from it; itself where there is none."""
    tokenizer = Tokenizer.o200k_harmony()
    texts = [tokenizer.decode_single_token_bytes(token) for token in range(N_VOCAB)]
    known = {text: token for token, text in enumerate(texts)}
    others = (text[1:] if text.startswith(b" ") else b" " + text for text in texts)
    return torch.tensor([known.get(other, token) for token, other in enumerate(others)])


def padded(samples: list[Sample]) -> tuple[Tensor, Tensor]:
    """The conversations' tokens and which of them count, each [conversations, tokens], padded behind."""
    longest = max(len(each.tokens) for each in samples)
    ids = torch.zeros(len(samples), longest, dtype=torch.int64)
    wanted = torch.zeros(len(samples), longest, dtype=torch.bool)
    for row, each in enumerate(samples):
        ids[row, : len(each.tokens)] = torch.tensor(each.tokens)
        wanted[row, : len(each.tokens)] = torch.tensor(each.loss)
    return ids, wanted
