"""What runs on a GPU, or in Triton's interpreter: in a process of its own, by `TRITON_INTERPRET=1`.

`tests/unit/test_model_triton.py` starts it so. On a machine with a GPU `pytest tests/device` runs it there.
"""

from __future__ import annotations

import os

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

if not INTERPRETED and not torch.cuda.is_available():
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def device() -> str:
    return "cpu" if INTERPRETED else "cuda"


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def wide_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter's time goes by the number of programs, whatever their size."""
    if INTERPRETED:
        from harmony_py.model.kernels.triton import attend, dense, experts, grouped

        monkeypatch.setattr(dense, "ROWS", 128)
        monkeypatch.setattr(experts, "ROWS", 128)
        monkeypatch.setattr(experts, "GROUPS", 8)
        monkeypatch.setitem(grouped.ROWS, torch.float32, 64)
        monkeypatch.setattr(attend, "SPLITS", (1, 2))
