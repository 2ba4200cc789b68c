"""The declarations that `openai-harmony` 0.0.8 writes, and the models were trained on: quirks included.

What it drops (`anyOf`, `$ref`, numeric enums and more) is dropped here too; `extended` keeps it. One
thing differs: no line break inside a schema ends a comment or a literal.
"""

from __future__ import annotations

from harmony_py.chat.typescript.text import Json, comment, literal, on_one_line, trailing_comment
from harmony_py.errors import HarmonyError

MAX_DEPTH = 127
"""Schemas nested deeper than this are refused, as by a JSON parser with a bounded stack."""

PRIMITIVES = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean"}


class UpstreamWriter:
    """JSON Schema to TypeScript, one method for each kind of schema."""

    def __init__(self) -> None:
        self._depth = 0

    def type_of(self, schema: Json, indent: str) -> str:
        """The type that `schema` describes, its inner lines indented by `indent`."""
        if not isinstance(schema, dict):
            return "any"
        self._enter()
        text = self._type_of(schema, indent)
        self._depth -= 1
        return text

    def _enter(self) -> None:
        """Go one level down. An error ends all writing, so that only success needs to come up again."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise HarmonyError(f"the schema is nested deeper than {MAX_DEPTH} levels")

    def _type_of(self, schema: dict[str, Json], indent: str) -> str:
        kind = schema.get("type")
        if isinstance(schema.get("oneOf"), list):
            return self._one_of(schema["oneOf"], indent)
        if isinstance(kind, list):
            names = ["number" if name == "integer" else name for name in kind if isinstance(name, str)]
            return on_one_line(" | ".join(names)) if names else "any"
        if kind == "object":
            return self._object(schema, indent)
        if kind == "array":
            return f"{self.type_of(schema['items'], indent)}[]" if "items" in schema else "Array<any>"
        if kind == "string":
            return self._string(schema)
        return PRIMITIVES.get(kind, "any") if isinstance(kind, str) else "any"

    def _string(self, schema: dict[str, Json]) -> str:
        values = schema.get("enum")
        names = [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
        return " | ".join(map(_quoted, names)) or "string"

    # -- unions, one alternative a line --------------------------------------------------------------------

    def _one_of(self, variants: list[Json], indent: str) -> str:
        """The lines of a union where a type is expected."""
        return "".join("\n" + self._variant(variant, indent) for variant in variants)

    def _variant(self, variant: Json, indent: str) -> str:
        notes = self._descriptions(variant)
        if isinstance(variant, dict) and "default" in variant:
            default = variant["default"]
            plain = isinstance(default, str) and not has_enum(variant)
            notes = [*notes, f"default: {self._text(default) if plain else self._json(default)}"]
        return self._alternative(variant, notes, indent)

    def _alternative(self, variant: Json, notes: list[str], indent: str) -> str:
        text = self._or_null(variant, self.type_of(variant, indent + "   "))
        return f"{indent} | {text}{trailing_comment(notes, indent)}"

    def _union_property(self, key: str, schema: Json, variants: list[Json], indent: str) -> list[str]:
        """The lines of a property that holds a union. Here an enum's default stands without quotes."""
        own = self._descriptions(schema)
        lines = [comment(note, indent) for note in self._own_description(schema, variants)]
        lines += [comment(note, indent) for note in self._default(schema)]
        lines.append(f"{indent}{key}:")
        for index, variant in enumerate(variants):
            notes = [] if self._is_told(variant, index, own) else self._descriptions(variant)
            lines.append(self._alternative(variant, notes + self._default(variant), indent))
        return [*lines, f"{indent},"]

    # -- objects -------------------------------------------------------------------------------------------

    def _object(self, schema: dict[str, Json], indent: str) -> str:
        properties = schema.get("properties")
        required = schema.get("required")
        required = required if isinstance(required, list) else []
        # The description of a nested object stands where its type is expected: after the key.
        lines = [comment(note, indent) for note in self._descriptions(schema)] + ["{"]
        for name, value in properties.items() if isinstance(properties, dict) else ():
            key = on_one_line(name) if name in required else f"{on_one_line(name)}?"
            lines += self._property(key, value if isinstance(value, dict) else {}, indent)
        return "\n".join([*lines, f"{indent}}}"])

    def _property(self, key: str, schema: dict[str, Json], indent: str) -> list[str]:
        lines = self._title(schema, indent)
        variants = schema.get("oneOf")
        if "oneOf" not in schema:
            lines += [comment(note, indent) for note in self._descriptions(schema)]
        lines += self._examples(schema, indent)
        if isinstance(variants, list):
            return lines + self._union_property(key, schema, variants, indent)
        default = [] if "oneOf" in schema else self._default(schema)
        text = self._or_null(schema, self.type_of(schema, indent + "    "))
        return [*lines, f"{indent}{key}: {text},{trailing_comment(default, indent)}"]

    def _title(self, schema: dict[str, Json], indent: str) -> list[str]:
        title = schema.get("title")
        return [comment(title, indent), f"{indent}//"] if isinstance(title, str) else []

    def _examples(self, schema: dict[str, Json], indent: str) -> list[str]:
        examples = schema.get("examples")
        if not isinstance(examples, list) or not examples:
            return []
        listed = [f"{indent}// - {self._text(example)}" for example in examples if isinstance(example, str)]
        return [f"{indent}// Examples:", *listed]

    def _default(self, schema: Json) -> list[str]:
        if not isinstance(schema, dict) or "default" not in schema:
            return []
        default = schema["default"]
        if not isinstance(default, str):
            return [f"default: {self._json(default)}"]
        return [f"default: {on_one_line(default) if has_enum(schema) else self._text(default)}"]

    # -- what the extended style does otherwise ------------------------------------------------------------

    def _descriptions(self, schema: Json) -> list[str]:
        return described(schema)

    def _own_description(self, schema: Json, variants: list[Json]) -> list[str]:
        """What stands above a property that holds a union."""
        own = self._descriptions(schema)
        return [] if own == self._descriptions(next(iter(variants), None)) else own

    def _is_told(self, variant: Json, index: int, own: list[str]) -> bool:
        """Whether the property's description stands for the variant's: for the first one's it always does."""
        return bool(own) and (index == 0 or own == self._descriptions(variant))

    def _or_null(self, schema: Json, text: str) -> str:
        return f"{text} | null" if is_nullable(schema) and "null" not in text else text

    def _text(self, value: str) -> str:
        return _quoted(value)

    def _json(self, value: Json) -> str:
        return literal(_with_64_bit_integers(value))


def described(schema: Json) -> list[str]:
    """The description in a list, or an empty list."""
    description = schema.get("description") if isinstance(schema, dict) else None
    return [description] if isinstance(description, str) else []


def has_enum(schema: dict[str, Json]) -> bool:
    return isinstance(schema.get("enum"), list) and bool(schema["enum"])


def is_nullable(schema: Json) -> bool:
    """Whether OpenAPI's `nullable` is set."""
    return isinstance(schema, dict) and schema.get("nullable") is True


def _quoted(text: str) -> str:
    return f'"{on_one_line(text)}"'


def _with_64_bit_integers(value: Json) -> Json:
    """`value` as a JSON parser without big integers reads it: they become floats."""
    if isinstance(value, dict):
        return {key: _with_64_bit_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_64_bit_integers(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value)
    return value
