"""Conversations as samples: ids, and which of them are trained on."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final, NamedTuple

from harmony_py.chat import Role
from harmony_py.errors import ShardError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harmony_py.chat import Message
    from harmony_py.engines.shards.conversations import Talk
    from harmony_py.engines.shards.recipe import Recipe
    from harmony_py.format.encoding import HarmonyEncoding
    from harmony_py.format.render import Rendered

MOST_TOKENS: Final = 2**24
"""Of all samples of one record together. `"each"` of many turns begins with all turns before."""


class Sample(NamedTuple):
    ids: array[int]
    mask: bytes
    """For each id 1 or 0: whether it is trained on. The first is not: nothing comes before it."""
    cut: bool = False
    """Whether the conversation goes on behind it, or before it, in what the recipe asked for."""


def samples(talk: Talk, encoding: HarmonyEncoding, recipe: Recipe) -> Iterator[Sample]:
    """The samples of one conversation, none of them longer than the recipe has it."""
    messages, unweighted = talk
    total = 0
    for start, stop in _turns(messages) if recipe.turns == "each" else [_whole(messages, recipe)]:
        rendered = encoding.render_detailed(
            messages[:stop], training=True, loss_channels=recipe.loss_channels, config=recipe.rendering
        )
        total += len(rendered.tokens)
        if total > MOST_TOKENS:
            raise ShardError("conversation", f"it makes more than {MOST_TOKENS} tokens")
        yield from _fitted(rendered, _mask(rendered, start, unweighted), recipe)


def _whole(messages: Sequence[Message], recipe: Recipe) -> tuple[int, int]:
    """Where what is trained on begins, and where it ends."""
    if recipe.turns == "all":
        return 0, len(messages)
    spoken = [index for index, message in enumerate(messages) if message.author.role == Role.USER]
    return spoken[-1] if spoken else 0, len(messages)


def _turns(messages: Sequence[Message]) -> list[tuple[int, int]]:
    """The assistant's turns: what lies between two messages of the user, if it ends with the assistant's."""
    users = [index for index, message in enumerate(messages) if message.author.role == Role.USER]
    found = [
        (start, stop)
        for start, stop in zip([0, *users], [*users, len(messages)], strict=True)
        if stop > start and messages[stop - 1].author.role == Role.ASSISTANT
    ]
    if not found:
        raise ShardError("conversation", "no turn ends with a message of the assistant's")
    return found


def _mask(rendered: Rendered, start: int, unweighted: frozenset[int]) -> bytes:
    """The loss mask of the messages from `start` on that have weight."""
    mask = bytearray(rendered.loss_mask)
    if start or unweighted:
        for span in rendered.spans:
            if span.message is not None and (span.message < start or span.message in unweighted):
                mask[span.start : span.end] = bytes(span.end - span.start)
    return bytes(mask)


def _fitted(rendered: Rendered, mask: bytes, recipe: Recipe) -> Iterator[Sample]:
    tokens = array("i", rendered.tokens)
    if recipe.length is None or len(tokens) <= recipe.length:
        yield Sample(tokens, mask)
        return
    if recipe.overlong == "error":
        raise ShardError("conversation", f"{len(tokens)} tokens, more than {recipe.length}")
    for start, stop in _pieces(rendered, recipe.length):
        # Where the text before is gone, nothing foretells the first token.
        yield Sample(tokens[start:stop], b"\0" + mask[start + 1 : stop], cut=True)
        if recipe.overlong == "truncate":
            if any(mask) and not any(mask[:stop]):
                raise ShardError("conversation", f"nothing to train on in its first {stop} tokens")
            return


def _pieces(rendered: Rendered, length: int) -> Iterator[tuple[int, int]]:
    """Pieces no longer than `length`, divided between messages, each as long as can be."""
    start = end = 0
    for index, span in enumerate(rendered.spans):
        if index + 1 < len(rendered.spans) and rendered.spans[index + 1].message == span.message:
            continue
        if span.end - start > length and end > start:
            yield start, end
            start = end
        if span.end - start > length:
            reason = f"{span.end - start} tokens in one message, more than {length}"
            raise ShardError(f"messages[{span.message}]", reason)
        end = span.end
    yield start, end
