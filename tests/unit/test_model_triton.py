"""The Triton kernels without a GPU: interpreted, compiled for one, and when they are chosen."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import torch

from harmony_py.errors import HarmonyError
from harmony_py.model import ops
from harmony_py.model.config import ModelConfig
from harmony_py.model.kernels import check

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICE_TESTS = Path(__file__).parent.parent / "device"

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Triton is for Linux")


@on_linux
def test_the_device_tests_pass_in_the_interpreter() -> None:
    """In another process: Triton is told how to run before it is imported."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-rs"]
    ran = subprocess.run(
        [*command, str(DEVICE_TESTS)],
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-10_000:]
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout


@on_linux
def test_every_kernel_compiles_for_a_gpu(tmp_path: Path) -> None:
    """At the width of gpt-oss-20b, with what the step itself launches. No GPU is needed for that."""
    ran = subprocess.run(
        [sys.executable, "-c", COMPILE],
        env={**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-10_000:]
    assert ran.stdout.splitlines()[-1] == "compiled"


COMPILE = """
import re, torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction
from harmony_py.model.config import ModelConfig
from harmony_py.model.kernels.triton import experts, grouped, mxfp4_linear, moe
from harmony_py.model.cuda import Step
from harmony_py.model.weights import Mxfp4, build, shapes

class Hopper:
    def get_current_device(self): return 0
    def get_current_stream(self, device=None): return 0
    def get_current_target(self): return GPUTarget("cuda", 90, 32)

compiled = {}

def launcher(self, grid):
    def compile(*args, **kwargs):
        made = self.warmup(*args, grid=grid, **kwargs)
        compiled[self.__module__.rpartition(".")[2] + self.__name__] = made.asm["ptx"]
    return compile

driver.set_active(Hopper())
JITFunction.__getitem__ = launcher
config = ModelConfig.preset("gpt-oss-20b")

def nothing(name, layer):
    shape = shapes(config)[name]
    if name in ("experts.gate_up", "experts.down"):
        groups = *shape[:-1], shape[-1] // 32
        parts = ((*groups, 16), groups)
        return Mxfp4(*(torch.empty(part, dtype=torch.uint8, device="meta") for part in parts))
    return torch.empty(shape, dtype=torch.bfloat16, device="meta")

weights = build(2, nothing)
Step(config, weights, torch.bfloat16).launch(1)
layer = weights.layers[0].experts
x = torch.empty(64, config.hidden, dtype=torch.bfloat16, device="meta")
chosen = torch.empty(64, 4, dtype=torch.int64, device="meta")
moe(x, chosen, chosen.float(), *layer.gate_up, layer.gate_up_bias, *layer.down, layer.down_bias, 7.0)
mxfp4_linear(x[:1], layer.down.blocks[0], layer.down.scales[0])

expected = {
    "attend_attend", "attend_combine", "attend_turn_and_write", "dense_linear", "dense_project",
    "experts_inner", "experts_outer", "grouped_inner", "grouped_outer", "route_normalise", "route_route",
}
assert compiled.keys() == expected, compiled.keys() ^ expected
for name, code in compiled.items():
    # Weights and caches are read sixteen bytes at a time by every thread.
    if name not in ("attend_combine", "attend_turn_and_write"):
        assert re.search(r"ld\\.global(\\.\\w+)*\\.v4\\.b32|cp\\.async\\.cg", code), name
    # What is unpacked is subnormal: nothing may take it for zero.
    assert not re.search(r"(mul|fma|add)\\.\\w+\\.ftz|(mul|fma|add)\\.ftz", code), name
assert "mma" in compiled["grouped_inner"] and "mma" in compiled["attend_attend"]
print("compiled")
"""


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Choices are remembered."""
    for cached in (ops.kernels, check.fault):
        cached.cache_clear()
    yield
    for cached in (ops.kernels, check.fault):
        cached.cache_clear()


def found(*found: float) -> Any:
    return lambda device: (check.Difference("moe of 3", each, 1e-2) for each in found)


@pytest.mark.usefixtures("forgetful")
def test_a_gpu_gets_them_if_they_are_right_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "differences", found(1e-3, 1e-2, 0))
    with warnings.catch_warnings(action="error"):
        assert ops.kernels("auto", "cuda").name == "triton"
    assert ops.kernels("auto", "cpu").name == "rust"


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("off", [2e-2, float("nan"), float("inf")])
def test_a_gpu_gets_torch_if_they_are_not(off: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "differences", found(0, off, 0))
    with pytest.warns(UserWarning, match=r"not used on cuda: moe of 3 is off by .*; torch's are"):
        assert ops.kernels("auto", "cuda") == ops.TORCH
    assert ops.kernels("triton", "cuda").name == "triton"


@pytest.mark.usefixtures("forgetful")
def test_whatever_goes_wrong_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def differences(device: str) -> Iterator[check.Difference]:
        tried.append(device)
        raise ModuleNotFoundError("No module named 'triton'")

    monkeypatch.setattr(check, "differences", differences)
    for device in ("cuda", torch.device("cuda")):
        with pytest.warns(UserWarning, match="on cuda: ModuleNotFoundError: No module named 'triton'"):
            assert ops.kernels("auto", device) == ops.TORCH
    assert ops.kernels("auto", "cuda") == ops.TORCH
    assert len(tried) <= 2


def test_they_are_for_gpus() -> None:
    with pytest.raises(HarmonyError, match="kernels 'triton': expected a device of type cuda, found cpu"):
        ops.kernels("triton", "cpu")


def test_the_self_check_leaves_no_choice_of_experts() -> None:
    """Where some are left out, rounding may leave out others, and right kernels would look wrong."""
    assert isinstance(check.SMALL, ModelConfig)
    assert check.SMALL.experts_per_token == check.SMALL.experts


class Recorded:
    """Stands in for a CUDA graph: what is launched while it is open is what it replays."""

    made: ClassVar[list[Recorded]] = []

    def __init__(self) -> None:
        self.replays = 0
        self.made.append(self)

    def replay(self) -> None:
        self.replays += 1


@on_linux
def test_each_number_of_tokens_is_recorded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from harmony_py.model.cuda import Step

    Recorded.made.clear()
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorded)
    monkeypatch.setattr(torch.cuda, "graph", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    step = Step(check.SMALL, check.small_weights("cpu"), torch.float32)
    launched: list[int] = []
    monkeypatch.setattr(step, "launch", launched.append)
    for count in (1, 2, 1, 1):
        step.play(count)
    # Once so that everything is compiled, once to record.
    assert launched == [1, 1, 2, 2]
    assert [graph.replays for graph in Recorded.made] == [3, 1]
