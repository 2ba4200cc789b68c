"""What the callables of tools have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Callable = TypeVar("_Callable", bound="Callable[..., Any]")


def takes_text(function: _Callable) -> _Callable:
    """Mark a callable that gets the text of a call as it stands, where others get arguments by keyword."""
    function.takes_text = True  # type: ignore[attr-defined]
    return function
