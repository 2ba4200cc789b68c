"""`Tokenizer`: tiktoken's `Encoding`, for o200k_harmony, over the Rust core."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, TypeAlias

from harmony_py import _rust
from harmony_py.tokenizer.special import DECODE_ONLY, ENCODABLE, END_OF_TEXT, N_VOCAB, SPECIAL_TOKENS
from harmony_py.tokenizer.stream import StreamDecoder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

Segment: TypeAlias = "str | int"
"""What `encode_segments` takes: text in which nothing is a control token, or one token's id."""

_SPECIAL_IDS = frozenset(SPECIAL_TOKENS.values())


class Tokenizer(_rust.Core):
    """The o200k_harmony tokenizer. Immutable, shared freely between threads.

    Has the methods of tiktoken's `Encoding`, and the same ids come out. Those where time counts are the
    Rust core's own: `encode`, `encode_ordinary`, `encode_batch`, `encode_ordinary_batch`, `encode_segments`,
    `encode_single_token`, `encode_with_unstable`, `count`, `truncate`, `decode`, `decode_bytes`,
    `decode_single_token_bytes`, `decode_tokens_bytes`, `decode_with_offsets`, `token_byte_values`.
    `help(Tokenizer)` shows them all, `_rust.pyi` their types.
    """

    __slots__ = ()

    name = "o200k_harmony"

    def __new__(cls) -> Tokenizer:
        """The process's one tokenizer, as `o200k_harmony` returns it."""
        return cls.o200k_harmony()

    @classmethod
    def o200k_harmony(cls) -> Tokenizer:
        """The process's one tokenizer."""
        return _shared()

    def __repr__(self) -> str:
        return f"<Tokenizer {self.name!r}>"

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[()]]:
        """Pickled and copied by reference: there is one in every process."""
        return Tokenizer, ()

    def encode_to_numpy(
        self,
        text: str,
        *,
        allowed_special: Literal["all"] | Collection[str] = (),
        disallowed_special: Literal["all"] | Collection[str] = "all",
    ) -> npt.NDArray[np.uint32]:
        """Like `encode`, but a read-only array over the memory that the ids were written to."""
        import numpy as np

        buffer = self.encode_to_buffer(
            text, allowed_special=allowed_special, disallowed_special=disallowed_special
        )
        return np.frombuffer(buffer, dtype=np.uint32)

    def decode_batch(
        self, batch: Iterable[Sequence[int]], *, errors: str = "replace", num_threads: int | None = None
    ) -> list[str]:
        """`decode` for each sequence. `num_threads` is for tiktoken's callers: one thread is faster."""
        return [self.decode(tokens, errors) for tokens in batch]

    def decode_bytes_batch(
        self, batch: Iterable[Sequence[int]], *, num_threads: int | None = None
    ) -> list[bytes]:
        """`decode_bytes` for each sequence. `num_threads` as for `decode_batch`."""
        return [self.decode_bytes(tokens) for tokens in batch]

    def incremental_encoder(self) -> _rust.IncrementalEncoder:
        """An encoder for text that only grows: `feed(text)` returns ids as they become certain."""
        return _rust.IncrementalEncoder(self)

    def stream_decoder(self, errors: str = "replace") -> StreamDecoder:
        """A decoder for ids as they are sampled: never returns half a character."""
        return StreamDecoder(self, errors)

    @property
    def special_tokens_set(self) -> set[str]:
        """The names of the control tokens that `allowed_special` and `disallowed_special` mean by "all"."""
        return set(ENCODABLE)

    def is_special_token(self, token: int) -> bool:
        """Whether `token` is the id of a control token."""
        if not isinstance(token, int):
            raise TypeError(f"a token id is an int, not {token!r}")
        return token in _SPECIAL_IDS

    @property
    def eot_token(self) -> int:
        """The id of `<|endoftext|>`."""
        return END_OF_TEXT

    @property
    def n_vocab(self) -> int:
        """How many ids there are: the rows of the models' embedding table."""
        return N_VOCAB

    @property
    def max_token_value(self) -> int:
        """The largest id."""
        return N_VOCAB - 1


@functools.cache
def _shared() -> Tokenizer:
    return _rust.Core.__new__(Tokenizer, list(ENCODABLE.items()), list(DECODE_ONLY.items()))
