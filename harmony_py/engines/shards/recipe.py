"""`Recipe`: every choice there is in making shards. Together with the input it decides every byte."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from harmony_py.chat.messages import HeaderStyle
from harmony_py.chat.typescript import SchemaStyle
from harmony_py.errors import ShardError
from harmony_py.format.config import RenderConfig
from harmony_py.format.retention import PolicyName

if TYPE_CHECKING:
    from collections.abc import Mapping

Form = Literal["harmony", "chat"]
Overlong = Literal["error", "truncate", "split"]
Turns = Literal["all", "last", "each"]
Format = Literal["npy", "parquet"]

CHOICES: Final = {
    "form": get_args(Form),
    "turns": get_args(Turns),
    "analysis": get_args(PolicyName),
    "header_style": get_args(HeaderStyle),
    "schema_style": get_args(SchemaStyle),
    "overlong": get_args(Overlong),
    "format": get_args(Format),
}
"""What the fields of a `Recipe` that hold a word may hold."""

MOST_BYTES: Final = 2**30
"""Of input for a shard. Each worker holds a shard in memory."""


@dataclass(frozen=True)
class Recipe:
    """What the records are, what becomes of a conversation, and how the shards are written."""

    form: Form = "harmony"
    """`"harmony"`: messages as `Message.to_dict` writes them. `"chat"`: OpenAI's chat completions."""
    column: str = "messages"
    """The field of a record, or the column of a table, that holds the messages."""
    turns: Turns = "all"
    """What is trained on: every turn of the assistant, the last one, or `"each"`: a sample for each turn that
    ends where the turn does, with the thoughts that the model had before it then, and the loss on that turn
    alone."""
    channels: tuple[str, ...] | None = None
    """Train on messages on these channels only; `""` is no channel."""
    analysis: PolicyName = "previous_turns"
    """Which old thoughts are left out; see `format.retention`."""
    header_style: HeaderStyle = "role_first"
    schema_style: SchemaStyle = "extended"
    length: int | None = None
    """The most tokens of a row; None is no limit."""
    pack: bool = False
    """Put several samples into a row, and fill it up: every row has exactly `length` tokens."""
    overlong: Overlong = "error"
    """What becomes of a sample of more than `length` tokens: it is written aside as an error, it ends with
    the last message that fits, or it is split between messages."""
    format: Format = "npy"
    shard_bytes: int = 32 * 2**20
    """The most bytes of input for a shard, unless one record has more."""

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise ShardError(f"recipe, {name}", f"expected one of {', '.join(choices)}; got {value!r}")
        if isinstance(self.channels, str):
            raise ShardError("recipe, channels", f"expected a tuple of names; got {self.channels!r}")
        if self.length is not None and self.length < 1:
            raise ShardError("recipe, length", f"expected a number of tokens; got {self.length}")
        if self.pack and self.length is None:
            raise ShardError("recipe, pack", "rows that are filled up need a length")
        if not 1 <= self.shard_bytes <= MOST_BYTES:
            raise ShardError("recipe, shard_bytes", f"expected 1 to {MOST_BYTES}; got {self.shard_bytes}")

    @property
    def rendering(self) -> RenderConfig:
        return RenderConfig(self.analysis, self.header_style, self.schema_style)

    @property
    def loss_channels(self) -> frozenset[str | None] | None:
        """As `HarmonyEncoding.render_detailed` takes them."""
        return None if self.channels is None else frozenset(name or None for name in self.channels)

    def to_dict(self) -> dict[str, Any]:
        fields = dataclasses.asdict(self)
        return {**fields, "channels": None if self.channels is None else list(self.channels)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Recipe:
        """The recipe whose `to_dict` is `fields`; `ShardError` on any field that is not one."""
        channels = fields.get("channels")
        try:
            return cls(**{**fields, "channels": None if channels is None else tuple(channels)})
        except TypeError as problem:
            raise ShardError("recipe", str(problem)) from None
