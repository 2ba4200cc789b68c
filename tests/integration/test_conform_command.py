"""The command, and the plug-ins as pytest and hypothesis find them, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harmony_py.cli import COMMANDS, main

ROOT = Path(__file__).parents[2]

OWN = '''
from harmony_py.testing.adapters import load

class Mine:
    """No subclass of anything, and no more than it can do."""
    name, version = "mine", "7"
    def __init__(self):
        self.ours = load("harmony_py")
    def encode(self, text):
        return self.ours.encode(text)
    def decode(self, tokens):
        return self.ours.decode(tokens).replace("x", "y")

class Nothing:
    pass
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where somebody has an implementation of their own."""
    (tmp_path / "mine.py").write_text(OWN, "utf-8")
    return tmp_path


def ran(folder: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    extra = {"PYTHONPATH": os.pathsep.join(map(str, filter(None, [path, ROOT]))), "PYTHONUTF8": "1"}
    environment = {**os.environ, **extra}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False
    )


def conform(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return ran(folder, "-m", "harmony_py", "conform", "--examples", "30", *options)


def test_passing_is_zero_and_the_reports_say_so(folder: Path) -> None:
    result = conform(folder, "--only", "text comes back", "--json", "r.json", "--junit", "r.xml")
    assert (result.returncode, result.stderr) == (0, "")
    assert "passed         text comes back" in result.stdout
    report = json.loads((folder / "r.json").read_text("utf-8"))
    assert [(check["name"], check["status"]) for check in report["checks"]] == [("text comes back", "passed")]
    assert report["budget"]["examples"] == 30
    suite = ElementTree.parse(folder / "r.xml").getroot()
    assert (suite.tag, suite.get("tests"), suite.get("failures")) == ("testsuite", "1", "0")


def test_json_alone_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", "--only", "text comes back", "--examples", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checks"][0]["status"] == "passed"
    assert main(["conform", "--list", "--json"]) == 0
    assert "text comes back" in json.loads(capsys.readouterr().out)
    assert main(["conform", "--only", "text comes back", "--examples", "5", "--junit", "/nonexistent/x"]) == 2
    assert "/nonexistent/x: No such file" in capsys.readouterr().err


def test_failing_is_one_and_the_counterexample_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(folder)
    options = ["--impl", "mine:Mine", "--only", "text", "--examples", "30"]
    files = ["--json", str(folder / "r.json"), "--junit", str(folder / "r.xml")]
    assert main(["conform", *options, *files]) == 1
    shown = capsys.readouterr().out
    assert "another text (1 tokens): 'y' instead of 'x'" in shown
    assert "passed         text is never control" in shown
    assert "not supported  malformed streams are recovered, M11" in shown
    assert "mine 7: 1 passed, 1 failed, " in shown
    checks = json.loads((folder / "r.json").read_text("utf-8"))["checks"]
    assert [c["findings"][0]["example"] for c in checks if c["status"] == "failed"] == [["x"]]
    suite = ElementTree.parse(folder / "r.xml").getroot()
    [failure] = suite.iter("failure")
    assert "'x'" in (failure.text or "")
    assert len(list(suite.iter("skipped"))) == int(suite.get("skipped") or 0) > 0
    assert main(["conform", *options[:2], "--only", "text comes", "--markdown"]) == 1
    assert "| text comes back | another text | `'x'` | 1 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--impl", "nonsense"], "'nonsense' is none of harmony_py, openai_harmony, transformers"),
        (["--impl", "missing:factory"], "No module named 'missing'"),
        (["--impl", "mine:missing"], "module 'mine' has no attribute 'missing'"),
        (["--impl", "mine:Nothing"], "has none of the methods encode, decode, "),
        (["--only", "nonsense"], "no check's name holds nonsense"),
    ],
)
def test_where_nothing_can_be_asked_it_is_two(
    folder: Path,
    options: list[str],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(folder)
    assert main(["conform", *options]) == 2
    assert problem in capsys.readouterr().err


def test_a_wrong_option_is_two_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["conform", "--wrong"])
    assert "unrecognized arguments: --wrong" in capsys.readouterr().err


def test_the_checks_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert "deltas are the text" in listed
    assert len(listed) > 80


def test_a_terminal_has_a_bar(folder: Path) -> None:
    pty = pytest.importorskip("pty")
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "harmony_py", "conform", "--examples", "5", "--only", "text comes back"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        process.wait(60)
    os.close(theirs)
    shown = os.read(mine, 10_000).decode()
    os.close(mine)
    assert "] 0/1 text comes back" in shown
    assert shown.endswith("\r\x1b[K")


# -- the command itself ------------------------------------------------------------------------------------


def test_it_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert all([name, what] in listed for name, what in COMMANDS.items())
    assert main([]) == 2
    assert "usage: harmony-py COMMAND" in capsys.readouterr().err
    assert main(["nonsense"]) == 2
    assert "no command is called 'nonsense'" in capsys.readouterr().err


def test_help_loads_nothing(folder: Path) -> None:
    script = "import sys; from harmony_py.cli import main; main(['--help']); print(*sys.modules)"
    loaded = ran(folder, "-c", script).stdout.split()
    assert "harmony_py.cli" in loaded
    assert {"pydantic", "hypothesis", "harmony_py.testing", "harmony_py.format"} & set(loaded) == set()


# -- without hypothesis ------------------------------------------------------------------------------------

WITHOUT = """
import sys
sys.modules["hypothesis"] = None
from harmony_py.testing import invariants, mutate, vectors
from harmony_py.testing.adapters import load
from harmony_py.testing.implementation import Fields
from harmony_py.testing.tokens import Stream, ids
invariants.text_comes_back(load("harmony_py"), "x")
stream = Stream(ids("<|channel|>final<|message|>Hi.<|return|>"), "assistant", ())
print(mutate.mutate(stream, 1).done[0].pattern, len(vectors.files()))
for name in ("strategies", "conformance"):
    try:
        __import__(f"harmony_py.testing.{name}")
    except ImportError as problem:
        print(problem)
from harmony_py.cli import main
print(main(["conform"]))
"""


def test_what_needs_no_hypothesis_works_without(folder: Path) -> None:
    result = ran(folder, "-c", WITHOUT)
    first, *lines = result.stdout.splitlines()
    assert first.startswith("M")
    assert first.endswith(" 27")
    install = "needs hypothesis: pip install 'harmony-py[testing]'"
    assert lines == [
        f"harmony_py.testing.strategies {install}",
        f"harmony_py.testing.conformance {install}",
        "2",
    ]
    assert f"harmony-py conform: harmony_py.testing.conformance {install}" in result.stderr


# -- the plug-ins, installed -------------------------------------------------------------------------------

ENTRY_POINTS = """
[hypothesis]
harmony_py = harmony_py.testing.hypothesis_plugin:register

[pytest11]
harmony_py = harmony_py.testing.pytest_plugin
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder on the path that says of the package what an installed one says."""
    info = tmp_path / "site" / "harmony_py_plugins-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: harmony-py-plugins\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    # pytest rewrites the assertions of the packages that a distribution with plug-ins lists.
    (info / "RECORD").write_text("harmony_py/__init__.py,,\nharmony_py/testing/pytest_plugin.py,,\n")
    return info.parent


def test_hypothesis_knows_the_types(folder: Path, installed: Path) -> None:
    script = (
        "from hypothesis import find, strategies as st\n"
        "from harmony_py import Conversation\n"
        "found = find(st.from_type(Conversation), lambda each: any(m.is_tool_call for m in each))\n"
        "print(len(found.messages) <= 4, found.messages[-1].author.role.value)\n"
    )
    result = ran(folder, "-W", "error", "-c", script, path=installed)
    assert result.stdout.strip() == "True tool", result.stderr


TESTS = """
import sys

def test_nothing_of_the_harness_is_loaded():
    unwanted = {"harmony_py.testing.conformance", "harmony_py.testing.adapters", "hypothesis", "pydantic"}
    assert not unwanted & set(sys.modules)
"""


def run_pytest(folder: Path, installed: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_mine.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    return ran(folder, "-m", "pytest", "-p", "no:cacheprovider", *options, path=installed)


def test_pytest_does_nothing_unless_asked(folder: Path, installed: Path) -> None:
    result = run_pytest(folder, installed, "-q")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout


def test_pytest_runs_the_checks_as_tests(folder: Path, installed: Path) -> None:
    options = ["--harmony-impl=mine:Mine", "--harmony-examples=20", "-k", "text"]
    result = run_pytest(folder, installed, "-rs", "-v", *options)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "harmony[mine:Mine]::text comes back FAILED" in result.stdout
    assert "harmony[mine:Mine]::text is never control PASSED" in result.stdout
    assert "text comes back: another text: 'y' instead of 'x'\ncounterexample:\n  'x'" in result.stdout
    assert "not supported" in result.stdout
    assert "run.py" not in result.stdout


def test_pytest_says_what_it_cannot_load(folder: Path, installed: Path) -> None:
    result = run_pytest(folder, installed, "--harmony-impl=nonsense", "-q", "-k", "comes")
    assert result.returncode != 0
    assert "'nonsense' is none of harmony_py, openai_harmony, transformers" in result.stdout + result.stderr
