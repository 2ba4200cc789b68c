"""MCP servers as tools of a model. Needs the extra `[mcp]`."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from harmony_py.chat import ToolDescription, ToolNamespaceConfig
from harmony_py.errors import HarmonyError, ToolError
from harmony_py.tools.calls import require
from harmony_py.tools.mcp.connection import Connection
from harmony_py.tools.mcp.descriptions import NAME, described
from harmony_py.tools.output import Output

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from mcp.client import Client
    from mcp_types import CallToolResult, ListToolsResult
    from typing_extensions import Self

__all__ = ["McpServer"]

MOST_TOOLS: Final = 128
_MOST_PAGES: Final = 32
_LONGEST_ERROR: Final = 1000


class McpServer:
    """The tools of one MCP server, which is spoken to from the beginning on: one for each conversation.

    A tool whose name or schema will not do is left out; `refused` says why. What a server answers is text,
    cut off after `characters`. One that takes longer than `seconds`, or dies, is reported to the model, ended
    if it is ours, and started or connected anew at the next call.

    What a server says of its tools is read by the model as an instruction would be: use those that you trust.

    Close it, or use it in a `with` block.
    """

    def __init__(
        self,
        make: Callable[[], Client],
        *,
        namespace: str = "functions",
        seconds: float = 60.0,
        start: float = 60.0,
        characters: int = 20_000,
    ) -> None:
        """`make` gives a client that was not entered yet; `stdio` and `http` are easier.

        A connection may take `start` seconds.
        """
        if not NAME.fullmatch(namespace):
            raise ValueError(f"namespace: expected letters, digits, '_' and '-', found {namespace!r}")
        self._make = make
        self._name = namespace
        self._seconds = seconds
        self._start = start
        self._characters = characters
        self._closed = False
        self._connection: Connection | None = None
        self.tools: list[ToolDescription] = []
        """For `DeveloperContent.with_function_tools`."""
        self.refused: dict[str, str] = {}
        """Why a tool is not among them, by its name."""
        try:
            self._list()
        except BaseException:
            self.close()
            raise

    @classmethod
    def stdio(
        cls,
        command: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        folder: str | None = None,
        **options: Any,
    ) -> Self:
        """A server that is a program: it is started, and ended by `close`.

        It sees of our environment what a login has, and `environment`.
        """
        require("an MCP server", "mcp", "mcp")
        from mcp import StdioServerParameters
        from mcp.client import Client

        how = StdioServerParameters(
            command=command, args=list(arguments), env=dict(environment or {}), cwd=folder
        )
        return cls(lambda: Client(how), **options)

    @classmethod
    def http(cls, url: str, *, headers: Mapping[str, str] | None = None, **options: Any) -> Self:
        """A server somewhere else, by streamable HTTP."""
        require("an MCP server", "mcp", "mcp")
        from mcp.client import Client

        def make() -> Client:
            return Client(_transport(url, dict(headers or {})))

        return cls(make, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True
        self._drop()

    @property
    def namespace(self) -> ToolNamespaceConfig:
        """For `with_tools`, where the tools have a namespace of their own."""
        return ToolNamespaceConfig(name=self._name, tools=self.tools)

    @property
    def callables(self) -> dict[str, Callable[..., str]]:
        """For `Chat`."""
        return {f"{self._name}.{tool.name}": partial(self._call, tool.name) for tool in self.tools}

    def _call(self, name: str, /, **arguments: Any) -> str:
        if self._closed:
            raise ToolError("this server is closed")
        result: CallToolResult = self._asked(lambda client: client.call_tool(name, arguments))
        text = self._text(result)
        if result.is_error:
            raise ToolError(text or "the tool failed, and does not say why")
        return text

    def _list(self) -> None:
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page: ListToolsResult = self._asked(partial(_page, cursor))
            for tool in page.tools:
                self._take(tool.name, tool.description, tool.input_schema)
            cursor = page.next_cursor
            if cursor is None:
                return
        self.refused["..."] = f"the list has more than {_MOST_PAGES} pages"

    def _take(self, name: str, description: str | None, schema: Any) -> None:
        if any(tool.name == name for tool in self.tools):
            self.refused.setdefault(name, "there are two tools of this name; the first is used")
        elif len(self.tools) >= MOST_TOOLS:
            self.refused.setdefault(name, f"there are more than {MOST_TOOLS} tools")
        else:
            try:
                self.tools.append(described(name, description, schema))
            except HarmonyError as error:
                self.refused.setdefault(name, str(error))

    def _asked(self, question: Callable[[Client], Awaitable[Any]]) -> Any:
        """An answer of the server; `ToolError` whatever goes wrong."""
        from mcp import MCPError
        from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT

        try:
            if self._connection is None:
                self._connection = Connection(self._make, self._start)
            return self._connection.ask(question, self._seconds)
        except MCPError as error:
            reason = error.error.message
            if error.error.code in (CONNECTION_CLOSED, REQUEST_TIMEOUT):
                self._drop()
        except TimeoutError:
            self._drop()
            reason = f"it did not answer within {self._seconds:g} seconds"
        except Exception as error:
            self._drop()
            reason = str(error) if isinstance(error, ToolError) else f"{type(error).__name__}: {error}"
        raise ToolError(f"the tool's server failed: {reason[:_LONGEST_ERROR]}")

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _text(self, result: CallToolResult) -> str:
        output = Output(self._characters)
        for block in result.content:
            output.add_line(_shown(block))
        if not result.content and result.structured_content is not None:
            output.add(json.dumps(result.structured_content, ensure_ascii=False))
        return output.text()


@asynccontextmanager
async def _transport(url: str, headers: dict[str, str]) -> AsyncIterator[Any]:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    # How long an answer may take is for the caller to say.
    async with (
        httpx2.AsyncClient(headers=headers, timeout=None) as client,
        streamable_http_client(url, http_client=client) as streams,
    ):
        yield streams


async def _page(cursor: str | None, client: Client) -> ListToolsResult:
    return await client.list_tools(cursor=cursor)


def _shown(block: Any) -> str:
    """What can be read in a block of a result."""
    if block.type == "text":
        return str(block.text)
    if block.type == "resource" and isinstance(text := getattr(block.resource, "text", None), str):
        return text
    if block.type == "resource_link":
        return f"[{block.name}: {block.uri}]"
    kind = getattr(block, "mime_type", None) or getattr(getattr(block, "resource", None), "mime_type", None)
    return f"[{kind or block.type}, which is not shown]"
