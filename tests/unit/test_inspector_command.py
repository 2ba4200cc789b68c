"""`harmony-py inspector`: what it exports and serves, and what it says of files that make no sense."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from harmony_py.cli import MISUSED, main
from harmony_py.inspector import answer, export
from harmony_py.inspector.examples import conversations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ANSWER = "<|channel|>final<|message|>Hi.<|return|>"


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command with a standard input, and gives its exit code, output and errors."""

    def run(*arguments: str, given: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        code = main(["inspector", *arguments])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def exported(path: Path) -> dict[str, Any]:
    [data] = re.findall(r'id="data">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    return dict(json.loads(data))


def test_without_a_file_the_toy_is_exported(run: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    code, out, _ = run("--export", str(page))
    assert (code, out) == (0, f"{page}: {page.stat().st_size:,} bytes\n")
    assert page.read_text("utf-8") == export([next(conversations())])
    assert page.stat().st_size < 2_500_000


@pytest.mark.parametrize(
    ("given", "kind", "role"),
    [
        ('[{"role": "user", "content": "Hi"}]', "conversation", "assistant"),
        (f"{ANSWER}\n", "text", "assistant"),
        (f"<|start|>assistant{ANSWER}\n", "text", "none"),
        ("200005 17196 200008 19 200002\n", "tokens", "assistant"),
        ("[200006, 173781, 200005, 17196, 200008, 19, 200002]", "tokens", "none"),
    ],
)
def test_what_a_file_holds_is_seen(run: Any, tmp_path: Path, given: str, kind: str, role: str) -> None:
    page = tmp_path / "page.html"
    code, out, _ = run("--export", str(page), "--json", "-", given=given)
    assert (code, json.loads(out)) == (0, {"file": str(page), "bytes": page.stat().st_size})
    [example] = exported(page)["examples"]
    assert (example["name"], example["source"]["kind"]) == ("standard input", kind)
    assert example["source"]["role"] == role
    view = exported(page)["answers"][0]["view"]
    assert view == answer({"ask": "view", "source": example["source"]})
    assert view["strict"]["error"] is None


def test_the_kind_can_be_said(run: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert (
        run("--export", str(page), "--kind", "stripped", "-", given="analysisHm.assistantfinalYes.")[0] == 0
    )
    assert exported(page)["answers"][0]["view"]["strict"]["error"] is None


def test_mistakes_are_named(run: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('[{"role": "user"}]', "utf-8")
    assert run(str(wrong)) == (
        MISUSED,
        "",
        f"harmony-py inspector: {wrong}: message 0: no 'content'\n",
    )
    code, _, err = run("--export", str(tmp_path / "no" / "page.html"))
    assert (code, "No such file" in err) == (MISUSED, True)
    code, _, err = run("--port", "70000")
    assert (code, "port 70000" in err) == (MISUSED, True)


def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text(ANSWER, "utf-8")
    command = [sys.executable, "-m", "harmony_py", "inspector", "--json", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = json.loads(process.stdout.readline())["url"]
        with urllib.request.urlopen(url, timeout=60) as response:
            page = response.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
    [data] = re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)
    found = json.loads(data)
    assert found["examples"][0] == {
        "group": "Given",
        "name": "mine.txt",
        "source": {**found["examples"][0]["source"], "text": ANSWER},
    }
    assert len(found["examples"]) > 100
