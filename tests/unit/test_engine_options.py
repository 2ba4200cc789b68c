"""What hosts are told of sampling, from a mapping or from an object."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harmony_py.engines.options import options
from harmony_py.errors import EngineError


def test_mappings_and_objects_say_the_same() -> None:
    given = {"temperature": 0.0, "max_tokens": 5, "top_k": None, "logit_bias": {}, "stop": [1]}
    expected = {"temperature": 0.0, "max_tokens": 5, "stop": [1]}
    assert options("x", given) == expected
    assert options("x", SimpleNamespace(**given)) == expected
    assert options("x", None) == {}


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(EngineError, match="x: unknown option 'topp'; there are max_tokens, temperature"):
        options("x", {"topp": 1})
