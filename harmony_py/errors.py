"""What can go wrong, each kind with the place where it did."""

from __future__ import annotations


class HarmonyError(RuntimeError, ValueError):
    """Base of every error that this package raises on its own account.

    Both a `RuntimeError` and a `ValueError`, so that code written for `openai-harmony` (which raises the
    first) and for tiktoken (the second) catches it.
    """


class VocabularyError(HarmonyError):
    """The embedded vocabulary cannot be used or written as asked."""
