"""The guard: no field of a message can read back as another field, another role or another message.

A header is words between control tokens. The control tokens are ids, which no text can spell; what remains is
that one word might be taken for another. Names of tools come from strangers: a tool named `system` would
write its results as system messages.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeVar

from harmony_py.chat import DeveloperContent, Role, SystemContent
from harmony_py.chat.messages import EVERYONE
from harmony_py.errors import RenderError
from harmony_py.format.grammar import SPELLED
from harmony_py.format.header import BARE_CONTENT_TYPES, Header
from harmony_py.tokenizer.special import CONSTRAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from harmony_py.chat import HeaderStyle, Message, ToolNamespaceConfig

OnInvalid = Literal["raise", "escape"]

_CONSTRAIN: Final = SPELLED[CONSTRAIN]
_AUTHOR: Final = re.compile(rf"({'|'.join(role.value for role in Role)})(:|$)|to=")
# Space ends a word, control characters hide in one, "<" begins what looks like a control token.
_NOT_IN_A_WORD: Final = re.compile(r"[\s<\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")

_Settings = TypeVar("_Settings", SystemContent, DeveloperContent)


class Guard:
    """Checks messages. What is wrong is an error, or is put right when `on_invalid` says so."""

    def __init__(self, on_invalid: OnInvalid, *, as_upstream: bool = False) -> None:
        self._escapes = on_invalid == "escape"
        self._as_upstream = as_upstream
        self.index: int | None = None
        """Where in its conversation the message stands that is checked next: for the error."""

    def header(self, message: Message, style: HeaderStyle) -> Header:
        """The fields of the message's header, each safe to write."""
        role = self._role(message)
        recipient = None if message.recipient == EVERYONE else message.recipient
        return Header(
            role=role,
            name=self._name(message.author.name, role),
            recipient=self._word(recipient, "recipient"),
            channel=self._word(message.channel, "channel"),
            content_type=self._content_type(message.content_type, alone=recipient is None),
            style=style if role is Role.ASSISTANT else "role_first",
        )

    def settings(self, content: _Settings, role: Role) -> _Settings:
        """The content, if it may stand in a message of `role` and every name in it is a word."""
        kind, home = (
            ("SystemContent", Role.SYSTEM)
            if isinstance(content, SystemContent)
            else ("DeveloperContent", Role.DEVELOPER)
        )
        if role is not home:
            place = f"{home.value} messages, found in {role.value.capitalize()}"
            self.refuse(f"{kind} may only appear in {place}", "content")
        safe: dict[str, Any] = {}
        if content.tools:
            namespaces = content.tools.items()
            safe["tools"] = {key: self._namespace(each, f"tools[{key!r}]") for key, each in namespaces}
        if isinstance(content, DeveloperContent) and content.response_formats:
            safe["response_formats"] = [
                wanted.model_copy(update={"name": self._word(wanted.name, f"response_formats[{i}].name")})
                for i, wanted in enumerate(content.response_formats)
            ]
        return content.model_copy(update=safe) if self._escapes else content

    def text(self, text: str, field: str) -> str:
        """`text`, if it can be encoded."""
        if not isinstance(text, str):
            self.refuse(f"expected a string, not {type(text).__name__}", field)
        if text.isascii() or not _SURROGATE.search(text):
            return text
        try:  # two of them may make one character
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            if not self._escapes:
                self.refuse("a lone surrogate, which no encoding can express", field)
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _namespace(self, namespace: ToolNamespaceConfig, place: str) -> ToolNamespaceConfig:
        name = self._word(namespace.name, f"{place}.name")
        names = [self._word(tool.name, f"{place}.tools[{i}].name") for i, tool in enumerate(namespace.tools)]
        if not self._escapes:
            return namespace
        tools = [
            tool.model_copy(update={"name": name}) for tool, name in zip(namespace.tools, names, strict=True)
        ]
        return namespace.model_copy(update={"name": name, "tools": tools})

    # -- words ---------------------------------------------------------------------------------------------

    def _role(self, message: Message) -> Role:
        try:
            return Role(message.author.role)
        except (AttributeError, ValueError) as error:
            self.refuse(str(error), "author")

    def _name(self, name: str | None, role: Role) -> str | None:
        if role is not Role.TOOL:
            return self._word(name, "author.name")
        if name is None:
            self.refuse("Tools should have a name!", "author.name")
        return self._word(name, "author.name", _problem_with_author)

    def _content_type(self, content_type: str | None, alone: bool) -> str | None:
        if not isinstance(content_type, str) or not content_type.startswith(_CONSTRAIN):
            word = self._word(content_type, "content_type", _problem_with_type)
            if word is None or word in BARE_CONTENT_TYPES or not alone or self._as_upstream:
                return word
            if not self._escapes:
                self.refuse(f"{word!r} would be read as a recipient, for want of one", "content_type")
            return _CONSTRAIN + word
        # The format's documentation has `<|constrain|> json`, which no parser takes: the space goes.
        word = content_type.removeprefix(_CONSTRAIN).lstrip(" ")
        marker = content_type.removesuffix(word) if self._as_upstream else _CONSTRAIN
        return f"{marker}{self._word(word, 'content_type')}" if word else marker

    def _word(
        self, word: str | None, field: str, problem_with: Callable[[str], str | None] | None = None
    ) -> str | None:
        if word is None:
            return None
        if not isinstance(word, str):
            self.refuse(f"expected a string, not {type(word).__name__}", field)
        problem = _problem_with_word(word) or (problem_with(word) if problem_with else None)
        if problem is None:
            return word
        if not self._escapes:
            self.refuse(f"{word!r} {problem}", field)
        escaped = _NOT_IN_A_WORD.sub("_", word) or "_"
        return "_" + escaped if problem_with and problem_with(escaped) else escaped

    def refuse(self, problem: str, field: str) -> NoReturn:
        raise RenderError(problem, self.index, field)


def _problem_with_word(word: str) -> str | None:
    if not word:
        return "is empty, and nothing would be read back"
    found = _NOT_IN_A_WORD.search(word)
    return found and f"is no single word: it holds {found[0]!r}"


def _problem_with_author(word: str) -> str | None:
    return "would be read as a role or a recipient" if _AUTHOR.match(word) else None


def _problem_with_type(word: str) -> str | None:
    return "would be read as a recipient" if word.startswith("to=") else None
