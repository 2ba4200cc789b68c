"""What goes wrong, as the API says it: a status and a body of one shape, whoever is at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmony_py.errors import ConstraintError, PromptError, RenderError, SamplingError, WireError

if TYPE_CHECKING:
    from collections.abc import Mapping


class ServeError(WireError):
    """A refusal with another status than 400."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, param, code, kind)
        self.status = status
        self.headers = dict(headers or {})


def failed() -> ServeError:
    """Something broke here. What it was stands in the log; it is nobody else's business."""
    return ServeError(500, "The server had an error while processing your request.", kind="server_error")


def as_wire_error(error: BaseException) -> WireError:
    """What the client is told of an error: everything of its own mistakes, nothing of ours."""
    if isinstance(error, WireError):
        return error
    if isinstance(error, PromptError):
        return WireError(str(error), None, "context_length_exceeded")
    if isinstance(error, SamplingError):
        # Logits that no token can be drawn from are the model's.
        return failed() if error.field == "logits" else WireError(str(error), error.field, "invalid_value")
    if isinstance(error, ConstraintError):
        return WireError(str(error), None, "invalid_schema")
    if isinstance(error, RenderError):
        return WireError(str(error), None, "invalid_value")
    return failed()


def status_of(error: WireError) -> int:
    return error.status if isinstance(error, ServeError) else 400


def headers_of(error: WireError) -> dict[str, str]:
    return error.headers if isinstance(error, ServeError) else {}


def http_error(status: int, detail: str, path: str, method: str) -> ServeError:
    """What the framework refuses, in words of the API."""
    if status == 404:
        return ServeError(404, f"Unknown request URL: {method} {path}.", code="unknown_url")
    if status == 405:
        return ServeError(405, f"Not allowed to {method} on {path}.", code="method_not_supported")
    return ServeError(status, detail)
