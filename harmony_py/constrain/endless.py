"""Parts of a JSON Schema that nothing finite fits: `{"$ref": "#"}` is one, and no engine says so.

A model led into such a part could never end the turn. Only what follows from required properties, least
lengths, choices and references is looked at; where anything else would have to be known, a part counts as
one that ends.
"""

from __future__ import annotations

from typing import Any, Final

from harmony_py.chat.pointers import follow, path_of
from harmony_py.constrain.walk import DATA, NAMES, subschemas
from harmony_py.errors import ConstraintError

MOST_ROUNDS: Final = 32
DEEPEST: Final = 200
"""References behind references behind references."""

_KINDS: Final = ("array", "boolean", "integer", "null", "number", "object", "string")


def without_endless_parts(schema: dict[str, Any], where: str) -> dict[str, Any]:
    """`schema` with `false` in place of every reference to what nothing finite fits, which says the same.

    `ConstraintError` if nothing finite fits all of it.
    """
    endings = _Endings(schema, where)
    endings.find()
    if not endings.ends(schema):
        raise ConstraintError("nothing that ever ends fits this schema", where)
    endless = {reference for reference, ends in endings.known.items() if not ends}
    return _without(schema, endless) if endless else schema


def _without(value: Any, endless: set[str]) -> Any:
    if isinstance(value, list):
        return [_without(item, endless) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("$ref") in endless:
        return False
    return {word: inner if word in DATA else _inside(word, inner, endless) for word, inner in value.items()}


def _inside(word: str, value: Any, endless: set[str]) -> Any:
    if word in NAMES and isinstance(value, dict):
        return {name: _without(schema, endless) for name, schema in value.items()}
    return _without(value, endless)


class _Endings:
    """Which references lead to something that ends: the least fixed point, none until it has been shown."""

    def __init__(self, root: dict[str, Any], where: str) -> None:
        self._root = root
        self._where = where
        self.known: dict[str, bool] = {}
        self._round: dict[str, bool] = {}
        """Those looked at in this round."""

    def find(self) -> None:
        found = [part.get("$ref") for part, _ in subschemas(self._root, "")]
        references = {each for each in found if isinstance(each, str)}
        for _ in range(MOST_ROUNDS):
            self._round = {}
            for reference in references:
                self._reference(reference, 0)
            if self._round == self.known:
                return
            self.known = self._round
        raise ConstraintError("the references go round in too many circles", self._where)

    def ends(self, schema: Any, depth: int = 0) -> bool:
        if not isinstance(schema, dict):
            return schema is not False
        if depth > DEEPEST:
            raise ConstraintError(f"references more than {DEEPEST} deep", self._where)
        depth += 1
        if not all(self.ends(part, depth) for part in _list(schema.get("allOf"))):
            return False
        for word in ("anyOf", "oneOf"):
            choices = schema.get(word)
            if isinstance(choices, list) and not any(self.ends(part, depth) for part in choices):
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
            return all(self.ends(named.get(name, other), depth) for name in required)
        if kind == "array":
            least = schema.get("minItems", 0)
            if not isinstance(least, int) or least <= 0:
                return True
            first = _list(schema.get("prefixItems"))
            rest = [schema.get("items", True)] if least > len(first) else []
            return all(self.ends(item, depth) for item in [*first[:least], *rest])
        return True

    def _reference(self, reference: str, depth: int) -> bool:
        if reference not in self._round:
            path = path_of(reference)
            target = None if path is None else follow(self._root, path)
            # Met again on the way, it is what the last round made of it.
            self._round[reference] = target is None or self.known.get(reference, False)
            self._round[reference] = target is None or self.ends(target, depth)
        return self._round[reference]


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []
