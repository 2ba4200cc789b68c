"""The Rust core: bytes and ranks, and the model's multiplications on the processor.

All of it is documented where it is written, in `rust_ext/src`.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, TypeAlias, final

from typing_extensions import Buffer, Self, disjoint_base

__all__ = [
    "Core",
    "IncrementalEncoder",
    "class_ranges",
    "kernel_implementations",
    "kernel_int8_linear",
    "kernel_linear",
    "kernel_moe",
    "kernel_mxfp4_linear",
    "vocabulary",
]

_Names: TypeAlias = Literal["all"] | Collection[str]
_Ids: TypeAlias = Sequence[int] | Buffer

@disjoint_base
class Core:
    def __new__(
        cls, special_tokens: Sequence[tuple[str, int]], decode_only: Sequence[tuple[str, int]]
    ) -> Self: ...
    def encode_ordinary(self, text: str) -> list[int]: ...
    def encode(
        self, text: str, *, allowed_special: _Names = ..., disallowed_special: _Names = ...
    ) -> list[int]: ...
    def encode_to_buffer(
        self, text: str, *, allowed_special: _Names = ..., disallowed_special: _Names = ...
    ) -> memoryview: ...
    def count(self, text: str) -> int: ...
    def encode_ordinary_batch(
        self, text: Iterable[str], *, num_threads: int | None = None
    ) -> list[list[int]]: ...
    def encode_batch(
        self,
        text: Iterable[str],
        *,
        num_threads: int | None = None,
        allowed_special: _Names = ...,
        disallowed_special: _Names = ...,
    ) -> list[list[int]]: ...
    def encode_segments(self, segments: Iterable[str | int]) -> tuple[list[int], list[int]]: ...
    def encode_with_unstable(
        self, text: str, *, allowed_special: _Names = ..., disallowed_special: _Names = ...
    ) -> tuple[list[int], list[list[int]]]: ...
    def encode_single_token(self, text_or_bytes: str | bytes) -> int: ...
    def truncate(self, text: str, max_tokens: int) -> str: ...
    def decode_bytes(self, tokens: _Ids) -> bytes: ...
    def decode(self, tokens: _Ids, errors: str = "replace") -> str: ...
    def decode_single_token_bytes(self, token: int) -> bytes: ...
    def decode_tokens_bytes(self, tokens: Iterable[int]) -> list[bytes]: ...
    def decode_with_offsets(self, tokens: _Ids) -> tuple[str, list[int]]: ...
    def token_byte_values(self) -> list[bytes]: ...

@final
class IncrementalEncoder:
    def __new__(cls, core: Core) -> Self: ...
    def feed(self, text: str) -> list[int]: ...
    def finish(self) -> list[int]: ...

def vocabulary() -> list[bytes]: ...
def class_ranges(bits: int) -> list[tuple[int, int]]: ...

# Tensors come as DLPack capsules, each of which is used up by the call.
_Tensor: TypeAlias = object

def kernel_implementations() -> list[str]: ...
def kernel_linear(
    x: _Tensor,
    weight: _Tensor,
    bias: _Tensor | None,
    out: _Tensor,
    *,
    threads: int | None = None,
    implementation: str | None = None,
) -> None: ...
def kernel_int8_linear(
    x: _Tensor,
    numbers: _Tensor,
    scales: _Tensor,
    bias: _Tensor | None,
    out: _Tensor,
    *,
    threads: int | None = None,
    implementation: str | None = None,
) -> None: ...
def kernel_mxfp4_linear(
    x: _Tensor,
    blocks: _Tensor,
    scales: _Tensor,
    bias: _Tensor | None,
    out: _Tensor,
    *,
    threads: int | None = None,
    implementation: str | None = None,
) -> None: ...
def kernel_moe(
    x: _Tensor,
    experts: _Tensor,
    shares: _Tensor,
    gate_up_blocks: _Tensor,
    gate_up_scales: _Tensor,
    gate_up_bias: _Tensor,
    down_blocks: _Tensor,
    down_scales: _Tensor,
    down_bias: _Tensor,
    limit: float,
    out: _Tensor,
    *,
    threads: int | None = None,
    implementation: str | None = None,
) -> None: ...
