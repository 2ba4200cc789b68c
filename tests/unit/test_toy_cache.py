"""Where the toy checkpoint is kept, and that it is whole there whoever calls, and how often."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from harmony_py.errors import CheckpointError
from harmony_py.model import toy, toy_checkpoint
from harmony_py.model.toy_checkpoint import CACHE_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

VARIABLES = (CACHE_VARIABLE, "XDG_CACHE_HOME", "HOME")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """In place of the checkpoint something small; the directories that it was written to."""
    places: list[Path] = []

    def expand(path: Path) -> None:
        places.append(path)
        path.mkdir()
        (path / "config.json").write_text("{}")
        (path / "model.safetensors").write_bytes(b"weights")

    monkeypatch.setattr(toy_checkpoint, "expand", expand)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return places


def test_it_is_written_once_and_found_again(
    written: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "deep" / "er"))
    path = toy()
    assert path == toy()
    assert path.parent == tmp_path / "deep" / "er"
    assert (path / "model.safetensors").read_bytes() == b"weights"
    assert len(written) == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("variable", "home"),
    [(CACHE_VARIABLE, "."), ("XDG_CACHE_HOME", "harmony_py"), ("HOME", ".cache/harmony_py")],
)
def test_it_is_kept_where_caches_are(
    variable: str, home: str, written: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES[VARIABLES.index(variable) :]:
        monkeypatch.setenv(name, str(tmp_path / name))
    assert toy().parent == tmp_path / variable / home


@pytest.mark.parametrize("damage", ["weights", "sums", "cut", "gone"])
def test_what_is_broken_is_written_anew(
    damage: str, written: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    path = toy()
    if damage == "gone":
        (path / "config.json").unlink()
    elif damage == "sums":
        (path / "SHA256SUMS").write_bytes(b"\xff")
    else:
        (path / "model.safetensors").write_bytes(b"Weights" if damage == "weights" else b"weig")
    assert toy() == path
    assert (path / "model.safetensors").read_bytes() == b"weights"
    assert (path / "config.json").exists()
    assert len(written) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_many_may_call_at_once(written: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    broken = toy()
    (broken / "model.safetensors").write_bytes(b"")
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: toy(), range(32)))
    assert set(paths) == {broken}
    assert (broken / "model.safetensors").read_bytes() == b"weights"
    assert list(tmp_path.iterdir()) == [broken]


def test_where_nothing_can_be_written_it_goes_with_the_process(
    written: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    toy_checkpoint._temporary.cache_clear()
    path = toy()
    assert path == toy()
    assert (path / "model.safetensors").read_bytes() == b"weights"
    assert path.parent.parent == tmp_path
    toy_checkpoint._temporary.cache_clear()


def test_a_place_asked_for_by_name_is_not_replaced_by_another(
    written: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(blocked))
    with pytest.raises(
        CheckpointError, match=f"{CACHE_VARIABLE}: expected a directory to write to, found .*file"
    ):
        toy()


def test_a_failure_leaves_nothing_behind(
    written: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        path.mkdir()
        raise CheckpointError("no")

    monkeypatch.setattr(toy_checkpoint, "expand", fail)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(CheckpointError, match="no"):
        toy()
    assert list(tmp_path.iterdir()) == []


def test_the_function_has_its_name_whatever_was_imported_before() -> None:
    script = "import harmony_py.model.toy_checkpoint.codes, harmony_py.model as m; assert callable(m.toy)"
    subprocess.run([sys.executable, "-c", script], check=True)
