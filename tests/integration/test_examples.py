"""Every example runs, and shows what it says it shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

SHOWN = {
    "chat_with_toy": [
        'functions.get_weather: {"city": "Tokyo"}',
        "final: It is 5 degrees and sunny in Tokyo.",
        "final: 3 + 4 = 7.",
    ],
    "judge_yours": ["failed         well formed streams are read", "another text"],
    "render_and_parse": ["analysis: A sum.", "<|message|>4<|end|><|start|>user<|message|>And 3 + 3?<|end|>"],
    "server_engine": ["assistant: You gave me 8 tokens.", "assistant: You gave me 28 tokens."],
    "streaming": ["|🍵|", "[commentary to functions.brew]", "calls functions.brew with {'tea': '谷雨'}"],
    "token_budget": [
        "The document has 601 tokens.",
        "Its first 20: ",
        "The oldest question left: 'Question 24",
    ],
    "training_mask": ["the loss is on 14 of 28 tokens", "the loss is on 7 of 28 tokens", "* 200002"],
}

ELSEWHERE = {
    "constrained": "test_constrain_example.py",
    "recover": "test_parse_example.py",
    "serve_once": "test_wire_example.py",
}
"""Examples with arguments or input, and the tests that run them."""


def test_every_example_is_run_by_a_test() -> None:
    for name, test in ELSEWHERE.items():
        assert f'"{name}.py"' in (Path(__file__).parent / test).read_text("utf-8")
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert set(SHOWN) <= names
    assert {name for name in names - set(SHOWN) if f"{name}.py" not in tests} == set()


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_shows_what_it_says(name: str) -> None:
    command = [sys.executable, "-W", "error", f"{name}.py"]
    ran = subprocess.run(
        command, cwd=EXAMPLES, capture_output=True, encoding="utf-8", timeout=200, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    for text in SHOWN[name]:
        assert text in ran.stdout
