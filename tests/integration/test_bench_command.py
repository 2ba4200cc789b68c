"""The benchmark command on a tiny text: it runs, checks ids, and writes what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks import __main__ as command
from benchmarks.harness import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--help"]) == 0
    assert "python -m benchmarks tokenizer --quick" in capsys.readouterr().out
    assert command.main(["no-such-benchmark"]) == 2


def test_tokenizer_on_a_text_of_ones_own(tmp_path: Path) -> None:
    text = tmp_path / "mine.txt"
    text.write_text("Zwei Zeilen sind genug,\num zu sehen, ob es läuft.\n" * 20, encoding="utf-8")
    result = tmp_path / "result.json"
    arguments = ["--corpus", f"mine={text}", "--only", "mine,startup", "--libraries", "ours,tiktoken"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks",
            "tokenizer",
            *arguments,
            "--repeats",
            "1",
            "--json",
            str(result),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "| mine" in done.stdout
    comparisons = {entry["title"]: entry for entry in json.loads(result.read_text())["comparisons"]}
    assert {"Unseen text, list output", "Repeated text, array output", "Startup"} <= comparisons.keys()
    for comparison in comparisons.values():
        for figure in comparison["figures"]:
            assert figure["note"] == ""
            assert figure["values"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--only", "klingon"], "--only knows no klingon"),
        (["--libraries", "sentencepiece"], "no library is called 'sentencepiece'"),
        (["--output", "tuple"], "outputs are list and array"),
        (["--corpus", "nowhere"], "expected NAME=PATH"),
    ],
)
def test_what_cannot_be_measured_is_said(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(["tokenizer", *arguments])
    assert complaint in capsys.readouterr().err
