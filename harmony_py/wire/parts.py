"""Text that comes whole or in parts, as both APIs have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmony_py.wire.fields import Fields, shortened, unsupported, wrong_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def read_text(fields: Fields, name: str, kinds: Mapping[str, str], ignored: Iterable[str]) -> str | None:
    """A string, or the text of the parts of an array, put together; None if there is neither.

    `kinds` are the types of parts that are text, each with the field that holds it.
    """
    value = fields.take(name)
    if value is None or isinstance(value, str):
        return value
    path = fields.at(name)
    if not isinstance(value, list):
        raise wrong_type(path, "a string or an array", value)
    return "".join(_part(Fields(part, f"{path}[{i}]"), kinds, ignored) for i, part in enumerate(value))


def _part(part: Fields, kinds: Mapping[str, str], ignored: Iterable[str]) -> str:
    kind = part.needed_text("type")
    if kind not in kinds:
        raise unsupported(part.at("type"), f"'{shortened(kind)}' is no text, and these models read text only")
    text = part.needed_text(kinds[kind])
    for name in ignored:
        part.take(name)
    part.close()
    return text
