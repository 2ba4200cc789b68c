"""Registers the strategies with hypothesis, so that `from_type(Conversation)` gives what an app could hold.

hypothesis calls `register` when it is imported, wherever this package is installed. Strategies are made when
they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def register() -> None:
    """The entry point `hypothesis`."""
    from hypothesis.strategies import register_type_strategy

    from harmony_py import chat

    for name in _CONTENTS:
        register_type_strategy(getattr(chat, name), _content)
    for name in ("Author", "Conversation", "Message", "ToolDescription", "ToolNamespaceConfig"):
        register_type_strategy(getattr(chat, name), _whole)


_CONTENTS = {
    "TextContent": "text",
    "SystemContent": "system_content",
    "DeveloperContent": "developer_content",
}


def _whole(kind: Any) -> SearchStrategy[Any]:
    """Of something that has a strategy of its own, or is part of something that has."""
    from hypothesis import strategies as st

    from harmony_py.testing import strategies as ours

    if kind.__name__ == "Conversation":
        return ours.conversations()
    if kind.__name__ == "Message":
        return ours.messages()
    if kind.__name__ == "Author":
        return ours.messages().map(lambda message: message.author)
    if kind.__name__ == "ToolDescription":
        return ours.tools().map(lambda tool: kind(**tool))
    return st.builds(
        lambda name, tools: kind(name=name, tools=tools),
        st.sampled_from(["functions", "mcp.server"]),
        st.lists(ours.tools(), max_size=3, unique_by=lambda tool: tool["name"]),
    )


def _content(kind: Any) -> SearchStrategy[Any]:
    """Of a content: one that a message holds."""
    from harmony_py.testing.strategies.flat import contents

    return contents[_CONTENTS[kind.__name__]].map(lambda flat: kind(**flat))
