"""Whether there is room: a clear word before the work instead of a dead process in the middle of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import torch

from harmony_py.errors import CheckpointError

_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container says how much memory it may have."""


def require(needed: int, device: str | torch.device, what: str) -> None:
    """Raises `CheckpointError` with both numbers if `device` has not `needed` bytes for `what`."""
    there = available(device)
    if there is not None and needed > there:
        raise CheckpointError(f"{what}: expected {needed:,} bytes of memory on {device}, found {there:,}")


def available(device: str | torch.device) -> int | None:
    """How many bytes `device` has: free ones of a GPU's, all of the CPU's; None where nobody can say.

    A mapped file takes memory only while there is some, so that the CPU's free memory says little.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu" or not hasattr(os, "sysconf"):
        return None
    limits = [Path(limit).read_text().strip() for limit in _LIMITS if Path(limit).exists()]
    built_in = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([built_in, *(int(limit) for limit in limits if limit.isdigit())])
