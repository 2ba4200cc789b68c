"""JSON Schemas from strangers: checked before an engine sees them, and written so that they stay schemas.

A schema may be huge, endlessly deep, or allow nothing that ever ends; and it may hold the grammar engine's
own settings, which switch checks off.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from harmony_py.constrain.endless import without_endless_parts
from harmony_py.constrain.walk import members, subschemas
from harmony_py.errors import ConstraintError

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST: Final = 262_144
"""Characters of a schema."""

DEEPEST: Final = 100
"""Brackets within brackets. The engine's own limit is 128, the grammar around it included."""

ENGINE_SETTINGS: Final = "x-guidance"
"""Where llguidance looks for settings in a schema. To JSON Schema it is an unknown word and says nothing."""

WHITESPACE: Final = r"[ \n\r\t]{1,64}"
"""Whitespace within JSON has an end: models that have lost the thread write it for ever."""

NO_ARGUMENTS: Final[dict[str, Any]] = {"type": "object", "properties": {}, "additionalProperties": False}


def arguments_text(parameters: Mapping[str, Any] | None, where: str) -> str:
    """The schema of a call's arguments, which are an object whatever else `parameters` say."""
    if parameters is None:
        return schema_text(NO_ARGUMENTS, where)
    if not isinstance(parameters, dict):
        raise ConstraintError(f"expected a JSON Schema, not {type(parameters).__name__}", where)
    kinds = parameters.get("type", "object")
    if kinds != "object" and not (isinstance(kinds, list) and "object" in kinds):
        raise ConstraintError(
            f"a call's arguments are an object, and this schema wants {kinds!r}", f"{where}/type"
        )
    return schema_text({**parameters, "type": "object"}, where)


def schema_text(schema: Mapping[str, Any] | bool, where: str) -> str:
    """`schema` as JSON, with the engine's settings as they must be; `ConstraintError` if nothing fits it."""
    if schema is True:
        schema = {}
    if not isinstance(schema, dict):
        reason = (
            "allows nothing" if schema is False else f"expected a JSON Schema, not {type(schema).__name__}"
        )
        raise ConstraintError(reason, where)
    _measure(schema, where)
    for part, place in subschemas(schema, where):
        _refuse_broken_promises(part, place)
    schema = without_endless_parts(schema, where)
    settings: dict[str, Any] = {"whitespace_pattern": WHITESPACE}
    if _names_are_safe(schema):
        settings["json_allow_general_unicode_escapes"] = True
    else:
        settings["json_allowed_escapes"] = 'nrbtf\\"'
    return json.dumps({**schema, ENGINE_SETTINGS: settings})


def _measure(schema: dict[str, Any], where: str) -> None:
    """Depth first: only what is not too deep can be written down."""
    level: list[tuple[Any, str]] = [(schema, where)]
    for _ in range(DEEPEST):
        level = [inner for value, place in level for inner in members(value, place)]
        if len(level) > LONGEST:
            raise ConstraintError(f"the schema is longer than {LONGEST:,} characters", where)
        if not level:
            break
    else:
        place = level[0][1]
        raise ConstraintError(f"nested deeper than {DEEPEST} brackets", f"{place[: len(where) + 60]}...")
    try:
        length = len(json.dumps(schema, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConstraintError(f"no JSON: {error}", where) from None
    if length > LONGEST:
        raise ConstraintError(f"the schema has {length:,} characters, and {LONGEST:,} are the most", where)


def _names_are_safe(schema: dict[str, Any]) -> bool:
    r"""Whether no name of a property could come as an additional one, in disguise, and escape its own schema.

    The engine tells names apart by how they are written, and `"\u0061"` is another way to write `"a"`.
    """
    return not any(
        any(part.get(word) for word in ("properties", "required", "patternProperties"))
        and part.get("additionalProperties") is not False
        for part, _ in subschemas(schema, "")
    )


def _refuse_broken_promises(part: dict[str, Any], place: str) -> None:
    """What the engine (llguidance 1.9) takes and does not keep, in one part of a schema."""
    least = part.get("minProperties", 0)
    required = part.get("required")
    if _is_number(least) and least > max(1, len(required) if isinstance(required, list) else 0):
        reason = "cannot be promised: a name may come twice, and then counts once"
        raise ConstraintError(reason, f"{place}/minProperties")
    for word, sign, others in (
        ("exclusiveMinimum", 1, ("maximum", "exclusiveMaximum")),
        ("exclusiveMaximum", -1, ("minimum", "exclusiveMinimum")),
    ):
        bounds = [sign * part[other] for other in others if _is_number(part.get(other))]
        if _is_number(part.get(word)) and part[word] == 0 and any(bound < 1 for bound in bounds):
            raise ConstraintError(
                "cannot be promised: 0 itself gets in where the other bound is a fraction", f"{place}/{word}"
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
