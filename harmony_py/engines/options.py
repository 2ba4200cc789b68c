"""How tokens are drawn, in names of our own, which each host's file translates into its host's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from harmony_py.errors import EngineError

NAMES: Final = ("max_tokens", "temperature", "top_k", "top_p", "min_p", "seed", "stop", "logit_bias")
"""What hosts have in common. `stop` are ids."""


def options(engine: str, sampling: Any) -> dict[str, Any]:
    """What `sampling` says: a mapping, or an object such as `harmony_py.model.Sampling` with attributes.

    What is None or empty is left to the engine. `EngineError` for a name that means nothing here: an option
    that is silently dropped is worse than none.
    """
    if sampling is None:
        return {}
    if isinstance(sampling, Mapping):
        given = dict(sampling)
        if unknown := sorted(str(name) for name in given if name not in NAMES):
            raise EngineError(engine, f"unknown option {unknown[0]!r}; there are {', '.join(NAMES)}")
    else:
        given = {name: getattr(sampling, name, None) for name in NAMES}
    return {name: value for name, value in given.items() if value is not None and not _empty(value)}


def _empty(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple | set | frozenset) and not value
