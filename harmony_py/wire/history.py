"""The messages of earlier turns: what both APIs say of thoughts, calls and results, as harmony has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harmony_py.chat import Author, Message, Role
from harmony_py.format.grammar import SPELLED
from harmony_py.format.retention import ANALYSIS, FINAL
from harmony_py.format.validate import Guard
from harmony_py.tokenizer.special import CONSTRAIN
from harmony_py.wire.fields import invalid, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harmony_py.wire.tools import ToolNames

COMMENTARY: Final = "commentary"
JSON_TYPE: Final = SPELLED[CONSTRAIN] + "json"


def said(role: Role, text: str, name: str | None = None) -> Message:
    return Message.from_author_and_content(Author(role=role, name=name), text)


def thought(text: str) -> Message:
    return said(Role.ASSISTANT, text).with_channel(ANALYSIS)


def answer(text: str) -> Message:
    return said(Role.ASSISTANT, text).with_channel(FINAL)


def preamble(text: str) -> Message:
    return said(Role.ASSISTANT, text).with_channel(COMMENTARY)


def call(recipient: str, arguments: str, channel: str = COMMENTARY, content_type: str = JSON_TYPE) -> Message:
    message = said(Role.ASSISTANT, arguments).with_channel(channel)
    return message.with_recipient(recipient).with_content_type(content_type)


def result(recipient: str, text: str, channel: str = COMMENTARY) -> Message:
    """What the tool that was called as `recipient` answered."""
    return said(Role.TOOL, text, recipient).with_channel(channel).with_recipient(Role.ASSISTANT.value)


_ESCAPING: Final = Guard("escape")


def speakable(recipient: str) -> str:
    """The name of a tool as a header can hold it, whatever a model or a client made of it.

    What a model called is told to the client as it is, and comes back with the history: to refuse it then
    would end the conversation.
    """
    return _ESCAPING.header(said(Role.TOOL, "", recipient), "role_first").name or ""


class Calls:
    """The calls so far, by their ids: a result names only the id, and the model must hear the tool's name."""

    def __init__(self, names: ToolNames, earlier: Mapping[str, str] | None = None) -> None:
        self._names = names
        self.recipients = dict(earlier or {})

    def made(self, call_id: str, name: str, arguments: str) -> Message:
        """A call. An id that was used before is taken over: many servers begin anew each turn."""
        recipient = self.recipients[call_id] = speakable(self._names.to_model(name))
        return call(recipient, arguments)

    def answered(self, call_id: str, text: str, path: str) -> Message:
        if call_id not in self.recipients:
            raise invalid(path, f"no call before it has the id '{shortened(call_id)}'")
        return result(self.recipients[call_id], text)


class OpenCalls:
    """Calls that wait for their results, when a conversation is written down: ids are made up in order."""

    def __init__(self) -> None:
        self._count = 0
        self._open: list[tuple[str, str]] = []

    def made(self, recipient: str) -> str:
        """The id of a new call."""
        call_id = f"call_{self._count}"
        self._count += 1
        self._open.append((recipient, call_id))
        return call_id

    def answered(self, name: str | None, path: str) -> str:
        """The id of the earliest call to `name` without a result."""
        for place, (recipient, call_id) in enumerate(self._open):
            if recipient == name:
                del self._open[place]
                return call_id
        raise invalid(path, f"a result of '{name}', which nobody called: neither API can say that")
