"""What a request asks of the engine, as opposed to what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from harmony_py.wire.fields import checked_token, invalid, missing, present, shortened, wrong_type
from harmony_py.wire.tools import ANY_CHOICE, ToolNames

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harmony_py.chat import Conversation
    from harmony_py.wire.fields import Fields
    from harmony_py.wire.tools import Function, ToolChoice

_TEXTS = ("prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "user")

_MOST_TOKENS = 2**31 - 1

_TOKEN = re.compile(r"[0-9]{1,7}")


class Format(NamedTuple):
    """The form that the final answer must have."""

    kind: Literal["json_object", "json_schema"]
    name: str | None = None
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """As Responses has it: Chat Completions puts all but the type one level down."""
        fields = present(self._asdict())
        return {"type": fields.pop("kind"), **fields}


@dataclass(frozen=True)
class Options:
    """The settings of one request. None is what was not said: the engine's own default."""

    model: str
    max_tokens: int | None = None
    """How many tokens may be sampled, thoughts included."""
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[int, float] | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    logprobs: bool = False
    top_logprobs: int | None = None

    stream: bool = False
    include_usage: bool = False
    """A stream ends with a chunk that tells the usage."""

    effort: str | None = None
    """The reasoning effort as asked for, be it one that the models do not know: `none`, `xhigh`."""
    functions: tuple[Function, ...] = ()
    builtin: frozenset[str] = frozenset()
    """The namespaces of the tools that the server runs itself."""
    tool_choice: ToolChoice = ANY_CHOICE
    parallel_tool_calls: bool = True
    format: Format | None = None

    other: dict[str, Any] = field(default_factory=dict)
    """Fields of the API that change neither prompt nor sampling, such as `metadata`; and those the caller
    allowed beyond the API's."""

    @property
    def tools(self) -> ToolNames:
        """The tools' names, for parsing and for naming calls."""
        return ToolNames(frozenset(each.name for each in self.functions), self.builtin)


class Request(NamedTuple):
    """A request that was understood."""

    conversation: Conversation
    options: Options


def read_sampling(fields: Fields) -> dict[str, Any]:
    """What both APIs spell alike, by the names of `Options`."""
    found = {
        "temperature": fields.number("temperature", 0, 2),
        "top_p": fields.number("top_p", 0, 1),
        "top_logprobs": fields.integer("top_logprobs", 0, 20),
        "stream": fields.flag("stream") or False,
    }
    parallel = fields.flag("parallel_tool_calls")
    return {**found, "parallel_tool_calls": parallel is None or parallel}


def read_kept(fields: Fields, names: Iterable[str], allow: Iterable[str]) -> dict[str, Any]:
    """The fields for `Options.other`: those of the API by their types, those beyond it as they are."""
    found: dict[str, Any] = {name: fields.text(name) for name in _TEXTS}
    metadata = fields.schema("metadata")
    if any(not isinstance(value, str) for value in (metadata or {}).values()):
        raise wrong_type(fields.at("metadata"), "an object whose values are strings", metadata)
    found |= {"metadata": metadata, **{name: fields.take(name) for name in (*names, *allow)}}
    return present(found)


def read_limit(fields: Fields, name: str) -> int | None:
    return fields.integer(name, 1, _MOST_TOKENS)


def read_format(fields: Fields | None, inner: str | None) -> Format | None:
    """`response_format`, whose schema stands in a field `inner`, or `text.format`, where it stands beside."""
    if fields is None:
        return None
    kind = fields.choice("type", ("text", "json_object", "json_schema"))
    if kind is None:
        raise missing(fields.at("type"))
    if kind != "json_schema":
        fields.close()
        return Format("json_object") if kind == "json_object" else None
    place = fields.needed_object(inner) if inner else fields
    wanted = Format(
        "json_schema",
        place.name("name"),
        place.schema("schema"),
        place.text("description"),
        place.flag("strict"),
    )
    if wanted.schema is None:
        raise missing(place.at("schema"))
    place.close()
    fields.close()
    return wanted


def read_logit_bias(fields: Fields) -> dict[int, float] | None:
    biases = fields.object("logit_bias")
    if biases is None:
        return None
    found: dict[int, float] = {}
    for name in biases.names():
        if not _TOKEN.fullmatch(name):
            raise invalid(biases.at(shortened(name)), "expected a token as the name")
        if (bias := biases.number(name, -100, 100)) is not None:
            found[checked_token(int(name), biases.at(name))] = bias
    return found


def read_stop(fields: Fields) -> tuple[str, ...]:
    value = fields.take("stop")
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise wrong_type(fields.at("stop"), "a string or an array of strings", value)
    return tuple(value)
