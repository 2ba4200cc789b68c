"""`harmony-py serve`: what its arguments mean."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harmony_py.cli import MISUSED, main, serve
from harmony_py.errors import HarmonyError
from harmony_py.model import random_checkpoint
from harmony_py.model.weights import Int8
from harmony_py.serve.batched import Batched
from harmony_py.serve.runners import Interleaved
from harmony_py.serve.server import listen
from harmony_py.serve.settings import Settings
from tests.tiny_models import TINY

if TYPE_CHECKING:
    from collections.abc import Sequence


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    return parser.parse_args(arguments)


def test_what_is_not_said_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(serve.KEY_VARIABLE, raising=False)
    assert serve.settings_of(parsed([])) == Settings(models=("toy",), defaults={"temperature": 0.0})
    assert serve.settings_of(parsed(["/models/gpt-oss-20b"])) == Settings(models=("gpt-oss-20b",))


def test_limits_and_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(serve.KEY_VARIABLE, "secret")
    limits = ["--body-bytes", "9", "--prompt-tokens", "8", "--output-tokens", "7", "--waiting", "6"]
    more = [
        "--seconds",
        "5",
        "--stored",
        "4",
        "--database",
        "file.db",
        "--origin",
        "*",
        "--temperature",
        "0.5",
    ]
    assert serve.settings_of(parsed(["--name", "a", "--name", "b", *limits, *more])) == Settings(
        models=("a", "b"),
        api_keys=("secret",),
        origins=("*",),
        body_bytes=9,
        prompt_tokens=8,
        output_tokens=7,
        waiting=6,
        seconds=5,
        stored=4,
        database=Path("file.db"),
        defaults={"temperature": 0.5},
    )
    assert serve.settings_of(parsed(["--api-key", "k"])).api_keys == ("k",)


@pytest.mark.parametrize(
    "wrong",
    [{"models": ()}, {"waiting": 0}, {"stored_bytes": 0}, {"seconds": -1.0}, {"defaults": {"temprature": 1}}],
)
def test_settings_that_make_no_sense_are_refused(wrong: Any) -> None:
    with pytest.raises(HarmonyError, match=next(iter(wrong))):
        Settings(**wrong)


def test_another_server_gets_a_thread_for_each_answer() -> None:
    runners = serve.runners_of(parsed(["--url", "http://127.0.0.1:1", "--slots", "3", "--name", "m"]))
    assert [(runner.slots, runner.masks) for runner in runners] == [(1, False)] * 3


def test_an_engine_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_engine.py").write_text(
        "class E:\n    generate = None\nneedy = lambda path: path\nnone = dict\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    [runner] = serve.runners_of(parsed(["--engine", "my_engine:E", "--context", "99"]))
    assert isinstance(runner, Interleaved)
    assert (runner.slots, runner.context) == (1, 99)
    for spelled in (
        "my_engine",
        "my_engine:nothing",
        "no_such_module:make",
        "my_engine:needy",
        "my_engine:none",
        ":make",
        ".my_engine:make",
    ):
        with pytest.raises(HarmonyError, match=spelled):
            serve.runners_of(parsed(["--engine", spelled]))


def test_a_checkpoint_in_eight_bits_is_served(tmp_path: Path) -> None:
    random_checkpoint(tmp_path, TINY, seed=1)
    [runner] = serve.runners_of(parsed([str(tmp_path), "--dense", "int8", "--context", "99"]))
    assert isinstance(runner, Batched)
    assert isinstance(runner._model.weights.unembedding, Int8)


def test_misuse_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "a-model", "--url", "http://x"]) == MISUSED
    assert "not both" in capsys.readouterr().err
    assert main(["serve", "--slots", "0"]) == MISUSED
    assert "slots" in capsys.readouterr().err
    assert main(["serve", "--url", "http://x", "--dense", "int8"]) == MISUSED
    assert "--dense is a checkpoint's" in capsys.readouterr().err
    assert main(["serve", "/no/such/model"]) == MISUSED
    assert "/no/such/model" in capsys.readouterr().err
    assert main(["serve", "--device", "no-such-device"]) == MISUSED
    assert "--device no-such-device: " in capsys.readouterr().err
    with pytest.raises(HarmonyError, match=r"cannot listen at 127\.0\.0\.1, port 99999: expected 0 to 65535"):
        listen("127.0.0.1", 99999)
