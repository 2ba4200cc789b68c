"""`harmony-py chat` and `demo`: at a terminal, in a pipe, as JSON."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harmony_py import load_harmony_encoding
from harmony_py.cli import FAILED, INTERRUPTED, MISUSED, functions, main
from harmony_py.errors import HarmonyError
from tests.fake_server import DONE, Answer, event, serving
from tests.pseudo_terminal import CONTROL_C, CONTROL_D, Terminal

ROOT = Path(__file__).parents[2]

SCRIPTED = """
import itertools, json, sys, time
from harmony_py.cli import main, models
from tests.scripted_engine import ScriptedEngine

class Engine(ScriptedEngine):
    def generate(self, ids, sampling=None, *, mask=None):
        for step in super().generate(ids, sampling, mask=mask):
            yield step
            if "slow" in sys.argv[1]:
                time.sleep(0.02)

completions = json.loads(sys.argv[2])
models.open_model = lambda options: models.Opened(Engine(*completions), None, lambda event: "figures")
sys.exit(main(["chat", *sys.argv[3:]]))
"""

THOUGHT = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
ANSWER = "<|channel|>final<|message|>{}<|return|>"
CALL = '<|channel|>commentary to=functions.add <|constrain|>json<|message|>{"a": 2, "b": 3}<|call|>'

TOOLS = '''
def add(a: int, b: int = 0) -> int:
    """Adds two
    numbers.

    More that nobody needs to know."""
    return a + b

async def later() -> None: ...
def by_place(a: int, /) -> None: ...
'''


def scripted(*completions: str, pace: str = "fast") -> list[str]:
    return ["-c", SCRIPTED, pace, json.dumps(completions)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "tools.py").write_text(TOOLS, "utf-8")
    return tmp_path


def piped(folder: Path, *arguments: str, given: str = "", **environment: str) -> tuple[int, str, str]:
    ran = subprocess.run(
        [sys.executable, *arguments],
        input=given,
        cwd=folder,
        env={**os.environ, "PYTHONUTF8": "1", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    return ran.returncode, ran.stdout, ran.stderr


# -- at a terminal -----------------------------------------------------------------------------------------


def test_a_conversation_at_a_terminal(folder: Path) -> None:
    answers = [THOUGHT + ANSWER.format("First."), THOUGHT + ANSWER.format("Second.")]
    with Terminal(*scripted(*answers), folder=folder) as terminal:
        terminal.expect("you ")
        terminal.type("Hi\n")
        terminal.expect("analysis  Hm.")
        terminal.expect("final     First.")
        assert "\x1b[32mfinal" in terminal.raw
        terminal.expect("you ")
        for command, reply in {
            "/thoughts": "thoughts are hidden",
            "/effort low": "effort: low",
            "/effort much": "no such command: /effort much",
            "/help": "/save FILE",
            "/save /nonexistent/c.json": "No such file",
            "/tokens": "<|start|>assistant\n",
            "/save c.json": "5 messages in c.json",
        }.items():
            terminal.type(f"{command}\n")
            terminal.expect(reply)
        terminal.type("Again\n")
        assert "Hm." not in terminal.expect("final     Second.")
        terminal.type("/new\n")
        terminal.expect("a new conversation")
        terminal.type("/save d.json\n")
        terminal.expect("2 messages in d.json")
        terminal.expect("you ")
        terminal.type(CONTROL_D)
        assert terminal.end() == 0
    saved = json.loads((folder / "c.json").read_text("utf-8"))["messages"]
    assert [message["role"] for message in saved] == ["system", "developer", "user", "assistant", "assistant"]
    assert saved[0]["content"][0]["reasoning_effort"].lower() == "low"
    assert saved[4]["content"][0]["text"] == "First."


def test_control_c_stops_an_answer_and_keeps_what_came(folder: Path) -> None:
    answers = [ANSWER.format("word " * 2000), ANSWER.format("Still here.")]
    with Terminal(*scripted(*answers, pace="slow"), folder=folder) as terminal:
        terminal.expect("you ")
        terminal.type("Talk\n")
        terminal.expect("word word")
        terminal.type(CONTROL_C)
        terminal.expect("stopped; what came is kept")
        terminal.expect("you ")
        terminal.type("/save c.json\n")
        terminal.expect("in c.json")
        terminal.expect("you ")
        terminal.type("half a line")
        terminal.expect("half a line")
        # While it is between two keys, readline would take note and wait for another.
        time.sleep(0.3)
        terminal.type(CONTROL_C)
        terminal.expect("you ")
        terminal.type("And now?\n")
        terminal.expect("Still here.")
        terminal.expect("you ")
        terminal.type("/quit\n")
        assert terminal.end() == 0
    *_, asked, stopped = json.loads((folder / "c.json").read_text("utf-8"))["messages"]
    assert asked["content"][0]["text"] == "Talk"
    words = stopped["content"][0]["text"].split()
    assert 2 <= len(words) < 2000
    assert set(words) <= {"word", "w", "wo", "wor"}


def test_calls_are_shown_and_allowed_or_not(folder: Path) -> None:
    answers = [CALL, ANSWER.format("Five."), CALL, ANSWER.format("As you like.")]
    with Terminal(*scripted(*answers), "--tool", "tools.py:add", folder=folder) as terminal:
        terminal.expect("you ")
        terminal.type("2 + 3?\n")
        terminal.expect('call      functions.add {"a": 2, "b": 3}')
        terminal.expect("run add(a=2, b=3)? [y/N]")
        terminal.type("y\n")
        terminal.expect("tool      5")
        terminal.expect("Five.")
        terminal.type("Again?\n")
        terminal.expect("[y/N]")
        terminal.type("\n")
        terminal.expect("the user did not allow the call")
        terminal.expect("As you like.")
        terminal.expect("you ")
        terminal.type(CONTROL_D)
        assert terminal.end() == 0


def test_what_a_model_writes_moves_no_cursor(folder: Path) -> None:
    with Terminal(*scripted(ANSWER.format("\x1b[2J\x07boo")), folder=folder) as terminal:
        terminal.expect("you ")
        terminal.type("Hi\n")
        terminal.expect(r"\x1b[2J\x07boo")
        assert "\x1b[2J" not in terminal.raw
        assert "\x07" not in terminal.raw


# -- in a pipe ---------------------------------------------------------------------------------------------


def test_from_a_pipe_each_line_is_a_message_and_none_a_command(folder: Path) -> None:
    answers = [THOUGHT + ANSWER.format("One.\nTwo."), ANSWER.format("Three.")]
    code, out, err = piped(folder, *scripted(*answers), given="Hi\n\n/quit\n")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "user      Hi",
        "analysis  Hm.",
        "final     One.",
        "          Two.",
        "          figures",
        "user      /quit",
        "final     Three.",
        "          figures",
    ]
    _, out, _ = piped(folder, *scripted(answers[0]), given="Hi\n", FORCE_COLOR="1")
    assert "\x1b[32mfinal" in out


def test_a_line_that_is_no_text_is_named(folder: Path) -> None:
    ran = subprocess.run(
        [sys.executable, *scripted(ANSWER.format("One."))],
        input=b"Hi\nthen \xff\n",
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == MISUSED
    assert b"final     One." in ran.stdout
    assert ran.stderr.decode() == "harmony-py chat: -: line 2, byte 5 is not UTF-8: invalid start byte\n"


def test_as_json_every_event_is_a_line(folder: Path) -> None:
    malformed = "<|channel|>analysis<|message|>Hm.<|end|><|channel|>final<|message|>Hi.<|return|>"
    code, out, _ = piped(folder, *scripted(malformed), "--json", given="Hi\n")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [event["event"] for event in events if event["event"] != "content_delta"] == [
        "user",
        "message_start",
        "message_end",
        "diagnostic",
        "message_start",
        "message_end",
        "completed",
    ]
    assert events[-2]["message"]["content"] == [{"type": "text", "text": "Hi."}]
    assert next(event for event in events if event["event"] == "diagnostic")["code"] == "missing_start"


@pytest.mark.parametrize(("options", "answer"), [(["--yes"], "5"), ([], "nobody is there to allow the call")])
def test_from_a_pipe_tools_run_only_if_all_may(folder: Path, options: list[str], answer: str) -> None:
    completions = [CALL, ANSWER.format("Five.")]
    arguments = [*scripted(*completions), "--tool", "tools.py:add", "--json", *options]
    _, out, _ = piped(folder, *arguments, given="2 + 3?\n")
    [answered] = [event for event in map(json.loads, out.splitlines()) if event["event"] == "tool_answered"]
    assert answer in answered["text"]


def test_a_turn_that_fails_is_shown_and_is_the_exit_code(folder: Path) -> None:
    chat = ["-m", "harmony_py", "chat", "--url", "http://127.0.0.1:9"]
    code, out, _ = piped(folder, *chat, given="Hi\n")
    assert code == FAILED
    assert re.search(r"^error     http://127.0.0.1:9: no connection", out, re.MULTILINE)
    _, out, _ = piped(folder, *chat, "--json", given="Hi\n")
    assert json.loads(out.splitlines()[-1])["event"] == "failed"


def test_control_c_in_a_pipe_ends_it(folder: Path) -> None:
    script = "import sys; from harmony_py.cli import main, doctor\ndef stop(_): raise KeyboardInterrupt\n"
    code, out, err = piped(folder, "-c", f"{script}doctor.run = stop; sys.exit(main(['doctor']))")
    assert (code, out, err) == (INTERRUPTED, "", "")


def test_a_server_is_talked_with(folder: Path) -> None:
    ids = load_harmony_encoding().encode(THOUGHT + ANSWER.format("Hello."), allowed_special="all")
    choice = {"index": 0, "text": "", "token_ids": ids, "finish_reason": "stop"}
    answer = Answer([event({"choices": [choice]}), DONE])
    options = ["--model", "its-name", "--seed", "7", "--max-tokens", "99", "--system", "Be kind."]
    options += ["--key-from", "SOME_KEY"]
    with serving(answer) as server:
        command = ["-m", "harmony_py", "chat", "--url", server.url, *options]
        code, out, err = piped(folder, *command, given="Hi\n", SOME_KEY="secret")
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == ["user      Hi", "analysis  Hm.", "final     Hello."]
    [request] = server.requests
    assert request["headers"]["authorization"] == "Bearer secret"
    asked = request["body"]
    assert (asked["model"], asked["seed"], asked["max_tokens"]) == ("its-name", 7, 99)
    prompt = load_harmony_encoding().decode(asked["prompt"])
    assert re.search(r"Current date: \d{4}-\d\d-\d\d", prompt)
    assert "# Instructions\n\nBe kind.<|end|>" in prompt
    assert "get_weather" not in prompt


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--tool", "x"], "x: expected FILE.py:FUNCTION"),
        (["--tool", "nope.py:f"], "nope.py: expected a Python file"),
        (["--tool", "tools.py:sub"], "tools.py: expected a plain function called sub, found None"),
        (["--tool", "tools.py:later"], "expected a plain function called later"),
        (["--tool", "tools.py:by_place"], "by_place: a model passes arguments by name"),
        (["--model", "nowhere"], "nowhere/config.json: No such file"),
        (["--url", "http://127.0.0.1:9", "--key-from", "NO_SUCH_KEY"], "--key-from: expected an environment"),
        (["--url", "http://127.0.0.1:9", "--context", "9"], "--context, --device and --dense are"),
        (["--url", "http://127.0.0.1:9", "--dense", "int8"], "--context, --device and --dense are"),
        (
            ["--dense", "int8", "--device", "meta"],
            "dense 'int8': expected the device to be the CPU, found meta",
        ),
        (["--device", "nonsense"], "--device nonsense: "),
        (["--context", "999999999"], "max_context: expected a number of tokens from 1 to"),
        (["--temperature", "-1"], "--temperature: expected a finite number from 0"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_asked(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    reason: str,
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdin", io.StringIO("Hi\n"))
    assert main(["chat", *options]) == MISUSED
    shown = capsys.readouterr()
    assert shown.out == ""
    assert reason in shown.err


# -- functions as tools ------------------------------------------------------------------------------------


def test_a_function_says_what_the_model_is_told(folder: Path) -> None:
    tool = functions.load(f"{folder / 'tools.py'}:add")
    assert (tool.description.name, tool.description.description) == ("add", "Adds two numbers.")
    assert tool.description.parameters == {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 0}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert tool.call(a=1, b=2) == 3
    with pytest.raises(ValueError, match="valid integer"):
        tool.call(a="x")


def test_annotations_may_be_strings_and_a_broken_file_is_named(folder: Path) -> None:
    late = "from __future__ import annotations\nclass City(str): ...\ndef f(n: list[int]) -> None: ...\n"
    (folder / "late.py").write_text(late, "utf-8")
    parameters = functions.load(f"{folder / 'late.py'}:f").description.parameters
    assert parameters is not None
    assert parameters["properties"] == {"n": {"type": "array", "items": {"type": "integer"}}}
    (folder / "broken.py").write_text("1 / 0", "utf-8")
    with pytest.raises(HarmonyError, match=r"broken\.py: ZeroDivisionError: division by zero"):
        functions.load(f"{folder / 'broken.py'}:f")


# -- the demo ----------------------------------------------------------------------------------------------


def test_the_demo_shows_tokens_and_then_a_conversation(folder: Path) -> None:
    code, out, _ = piped(folder, "-m", "harmony_py", "demo")
    assert code == 0
    assert out.index("<|start|>system<|message|>") < out.index("user      Hello!")
    lines = out.splitlines()
    assert 'call      functions.get_weather {"city": "Tokyo"}' in lines
    assert re.search(r"^tool      \{\"degrees\": (-?\d+), \"sky\": \"(\w+)\"\}$", out, re.MULTILINE)
    assert re.search(r"^final     It is -?\d+ degrees and \w+ in San Francisco\.$", out, re.MULTILINE)
    assert "final     3 + 4 = 7." in lines
    assert re.search(r"\d+ tokens of prompt, [1-9]\d* of them reused; \d+ sampled, \d+ a second", out)
    assert "\x1b" not in out


def test_the_demo_as_json(folder: Path) -> None:
    code, out, _ = piped(folder, "-m", "harmony_py", "demo", "--json", "What is the weather in Paris?")
    events: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert events[0]["event"] == "prompt"
    assert events[0]["text"].endswith("What is the weather in Paris?<|end|><|start|>assistant")
    assert events[-1]["event"] == "completed"


def test_the_demo_without_torch_says_what_it_needs(folder: Path) -> None:
    script = (
        "import sys; sys.modules['torch'] = None\nfrom harmony_py.cli import main; sys.exit(main(['demo']))"
    )
    code, out, err = piped(folder, "-c", script)
    assert code == MISUSED
    assert "<|start|>user<|message|>Hello!<|end|>" in out
    assert "harmony_py.model needs torch: pip install 'harmony-py[model]'" in err
