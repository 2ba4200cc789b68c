"""Whether a JSON Schema allows anything that ever ends: `{"$ref": "#"}` does not, and no engine says so.

Only what follows from required properties, least lengths, choices and references is looked at; where anything
else would have to be known, the answer is yes.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from harmony_py.errors import ConstraintError

MOST_ROUNDS: Final = 32
DEEPEST: Final = 200
"""References behind references behind references."""

_KINDS: Final = ("array", "boolean", "integer", "null", "number", "object", "string")


class Inhabited:
    """The least fixed point: nothing is inhabited until it has been shown to be."""

    def __init__(self, root: dict[str, Any], where: str) -> None:
        self._root = root
        self._where = where
        self._known: dict[str, bool] = {}
        """What has been found out about references; they start as empty."""
        self._round: dict[str, bool] = {}
        """The same, for the references met in this round."""

    def __call__(self) -> bool:
        for _ in range(MOST_ROUNDS):
            self._round = {}
            found = self._schema(self._root, 0)
            if found or self._round.items() <= self._known.items():
                return found
            self._known |= self._round
        raise ConstraintError("the references go round in too many circles", self._where)

    def _schema(self, schema: Any, depth: int) -> bool:
        if not isinstance(schema, dict):
            return schema is not False
        if depth > DEEPEST:
            raise ConstraintError(f"references more than {DEEPEST} deep", self._where)
        depth += 1
        if not all(self._schema(part, depth) for part in _list(schema.get("allOf"))):
            return False
        for word in ("anyOf", "oneOf"):
            choices = schema.get(word)
            if isinstance(choices, list) and not any(self._schema(part, depth) for part in choices):
                return False
        reference = schema.get("$ref")
        if isinstance(reference, str) and not self._reference(reference, depth):
            return False
        if schema.get("enum") == []:
            return False
        kinds = schema.get("type", _KINDS)
        return any(
            self._kind(schema, kind, depth) for kind in ([kinds] if isinstance(kinds, str) else _list(kinds))
        )

    def _kind(self, schema: dict[str, Any], kind: Any, depth: int) -> bool:
        if kind == "object":
            properties = schema.get("properties")
            named = properties if isinstance(properties, dict) else {}
            other = True if "patternProperties" in schema else schema.get("additionalProperties", True)
            required = [name for name in _list(schema.get("required")) if isinstance(name, str)]
            return all(self._schema(named.get(name, other), depth) for name in required)
        if kind == "array":
            least = schema.get("minItems", 0)
            if not isinstance(least, int) or least <= 0:
                return True
            first = _list(schema.get("prefixItems"))
            rest = [schema.get("items", True)] if least > len(first) else []
            return all(self._schema(item, depth) for item in [*first[:least], *rest])
        return True

    def _reference(self, reference: str, depth: int) -> bool:
        if reference in self._round:
            return self._round[reference]
        target = self._target(reference)
        if target is None:
            return True
        # Met again on the way, it is what the last round made of it.
        self._round[reference] = self._known.get(reference, False)
        self._round[reference] = self._schema(target, depth)
        return self._round[reference]

    def _target(self, reference: str) -> Any:
        """What a pointer within the schema points to; None where it is no such pointer, or points nowhere."""
        if not reference.startswith("#"):
            return None
        value: Any = self._root
        for word in unquote(reference[1:]).split("/")[1:]:
            word = word.replace("~1", "/").replace("~0", "~")
            if isinstance(value, list) and word.isdecimal() and int(word) < len(value):
                value = value[int(word)]
            elif isinstance(value, dict) and word in value:
                value = value[word]
            else:
                return None
        return value if reference == "#" or reference.startswith("#/") else None


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []
