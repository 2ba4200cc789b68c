"""The tools a model may call: descriptions, their namespaces, and the two built-in namespaces."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class ToolDescription(BaseModel):
    """One function: its name, what it is for, and the JSON Schema of its arguments.

    Without `parameters` the function takes no argument at all.
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None

    @classmethod
    def new(
        cls, name: str, description: str | None = None, parameters: dict[str, Any] | None = None
    ) -> ToolDescription:
        return cls(name=name, description=description, parameters=parameters)


class ToolNamespaceConfig(BaseModel):
    """Tools that share a prefix: the model calls `search` of `browser` as `browser.search`.

    A namespace without tools is called by its own name, and its description is shown as prose.
    """

    name: str
    description: str | None = None
    tools: list[ToolDescription]

    @staticmethod
    def browser() -> ToolNamespaceConfig:
        """The browsing tool that the models were trained with."""
        tools = [
            ToolDescription(
                name="search",
                description=_SEARCH,
                parameters={
                    "type": "object",
                    "properties": {
                        "query": {"type": "string"},
                        "topn": {"type": "number", "default": 10},
                        "source": {"type": "string"},
                    },
                    "required": ["query"],
                },
            ),
            ToolDescription(
                name="open",
                description=_OPEN,
                parameters={
                    "type": "object",
                    "properties": {
                        "id": {"type": ["number", "string"], "default": -1},
                        "cursor": {"type": "number", "default": -1},
                        "loc": {"type": "number", "default": -1},
                        "num_lines": {"type": "number", "default": -1},
                        "view_source": {"type": "boolean", "default": False},
                        "source": {"type": "string"},
                    },
                },
            ),
            ToolDescription(
                name="find",
                description=_FIND,
                parameters={
                    "type": "object",
                    "properties": {
                        "pattern": {"type": "string"},
                        "cursor": {"type": "number", "default": -1},
                    },
                    "required": ["pattern"],
                },
            ),
        ]
        return ToolNamespaceConfig(name="browser", description=_BROWSER, tools=tools)

    @staticmethod
    def python() -> ToolNamespaceConfig:
        """The Jupyter tool that the models were trained with; it is prose and has no functions."""
        return ToolNamespaceConfig(name="python", description=_PYTHON, tools=[])


# These texts are part of the format: the models were trained on them, character for character.
_BROWSER = """\
Tool for browsing.
The `cursor` appears in brackets before each browsing display: `[{cursor}]`.
Cite information from the tool using the following format:
`【{cursor}†L{line_start}(-L{line_end})?】`, for example: `【6†L9-L11】` or `【8†L3】`.
Do not quote more than 10 words directly from the tool output.
sources=web (default: web)"""

_SEARCH = "Searches for information related to `query` and displays `topn` results."

_OPEN = (
    "Opens the link `id` from the page indicated by `cursor` starting at line number `loc`, "
    "showing `num_lines` lines.\n"
    "Valid link ids are displayed with the formatting: `【{id}†.*】`.\n"
    "If `cursor` is not provided, the most recent page is implied.\n"
    "If `id` is a string, it is treated as a fully qualified URL associated with `source`.\n"
    "If `loc` is not provided, the viewport will be positioned at the beginning of the document "
    "or centered on the most relevant passage, if available.\n"
    "Use this function without `id` to scroll to a new location of an opened page."
)

_FIND = "Finds exact matches of `pattern` in the current page, or the page given by `cursor`."

_PYTHON = (
    "Use this tool to execute Python code in your chain of thought. The code will not be shown to the user. "
    "This tool should be used for internal reasoning, but not for code that is intended to be visible to the "
    "user (e.g. when creating plots, tables, or files).\n\n"
    "When you send a message containing Python code to python, it will be executed in a stateful Jupyter "
    "notebook environment. python will respond with the output of the execution or time out after 120.0 "
    "seconds. The drive at '/mnt/data' can be used to save and persist user files. Internet access for this "
    "session is UNKNOWN. Depends on the cluster."
)
