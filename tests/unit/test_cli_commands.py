"""The command line: what each command prints, in a pipe and on a terminal, and its exit codes."""

from __future__ import annotations

import functools
import importlib.metadata
import io
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harmony_py import Message, Role, Tokenizer, load_harmony_encoding
from harmony_py.cli import COMMANDS, CUT_OFF, EXIT_CODES, FAILED, MISUSED, doctor, main
from harmony_py.cli.measure.decode import decode
from harmony_py.cli.measure.text import own_source
from harmony_py.cli.terminal import show_progress
from harmony_py.model import progress
from harmony_py.tokenizer import vocab
from tests.timing import assert_linear

if TYPE_CHECKING:
    from collections.abc import Callable

TOKENIZER = Tokenizer.o200k_harmony()
ANSWER = "<|channel|>final<|message|>Hi.<|return|>"
MALFORMED = "<|channel|>analysis<|message|>Think.<|end|><|channel|>final<|message|>Hi.<|return|>"


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command with a standard input, and gives its exit code, output and errors."""

    def run(*arguments: str, given: str | bytes = "") -> tuple[int, str, str]:
        data = given.encode() if isinstance(given, str) else given
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        code = main(arguments)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


# -- all of them -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_it_does_and_shows_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"\n  harmony-py {name}" in shown
    assert "--json" in shown
    assert EXIT_CODES in shown


def test_what_there_is_is_listed(run: Any) -> None:
    for arguments, code in (["--help"], 0), ([], MISUSED), (["nonsense"], MISUSED):
        ended, out, err = run(*arguments)
        assert ended == code
        assert all(name in out + err for name in COMMANDS)


def test_the_version_is_told(run: Any) -> None:
    assert run("--version") == (0, f"harmony-py {importlib.metadata.version('harmony-py')}\n", "")


def test_the_help_loads_nothing_and_the_module_runs() -> None:
    script = "import sys; from harmony_py.cli import main; main(['--help']); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"pydantic", "hypothesis", "torch"} & set(ran.stdout.split()) == set()
    module = [sys.executable, "-m", "harmony_py", "tokenize", "--count"]
    assert (
        subprocess.run(module, input="a b", capture_output=True, text=True, check=True).stdout
        == "        2  -\n"
    )


@pytest.mark.parametrize("arguments", [["tokenize", "{file}"], ["inspect", "--text", "{file}"], ["--help"]])
def test_nobody_reading_is_silent(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "file").write_text("word " * 50_000, "utf-8")
    command = [part.format(file=tmp_path / "file") for part in arguments]
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [sys.executable, "-m", "harmony_py", *command],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (CUT_OFF, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
@pytest.mark.parametrize("command", ["--help", "tokenize", "vocab info"])
def test_a_full_disk_is_said(command: str) -> None:
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "harmony_py", *command.split()],
            input="word",
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ran.returncode == MISUSED
    assert ran.stderr == f"harmony-py {command.split()[0]}: [Errno 28] No space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="written for a POSIX shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_hold_nothing_and_keep_nothing(closed: str) -> None:
    command = f"{sys.executable} -m harmony_py tokenize --count {closed}"
    ran = subprocess.run(["/bin/sh", "-c", command], input="", capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == ("" if ">&- " in closed + " " and "2" not in closed[:1] else "        0  -\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["tokenize", "--jobs", "0"],
        ["inspect", "--role", "nobody"],
        ["conform", "--examples", "none"],
        ["bench", "--repeats", "-1"],
    ],
)
def test_a_wrong_value_names_its_option(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == MISUSED
    assert f"argument {arguments[1]}: " in capsys.readouterr().err


def test_what_is_not_installed_is_named_with_its_extra(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "harmony_py.model.model", raising=False)
    code, _, err = run("bench", "--model", "toy", "--repeats", "1")
    assert code == MISUSED
    assert err.count("pip install 'harmony-py[model]'") == 1


def test_the_extra_is_named_once(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    for name in [name for name in sys.modules if name.startswith("harmony_py.testing.conformance")]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = run("conform")
    assert (code, err.count("pip install")) == (MISUSED, 1)


@pytest.mark.parametrize("columns", [5, 40, 80])
def test_bars_fit_on_a_line(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """One that wraps cannot be drawn over: each would leave a line behind."""

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    for done in range(3):
        show_progress(done, 2, "malformed streams are refused or read, M16: an unusual terminator")
        progress.bar(done, 2)
    lines = re.split(r"\r|\x1b\[K", screen.getvalue())
    assert max(map(len, lines)) == min(columns - 1, 101)


# -- tokenize ----------------------------------------------------------------------------------------------


def test_tokenize_prints_ids(run: Any) -> None:
    text = "héllo <|start|>\r\n"
    assert run("tokenize", given=text)[:2] == (0, " ".join(map(str, TOKENIZER.encode_ordinary(text))) + "\n")
    _, out, _ = run("tokenize", "--special", "--json", given=text)
    assert json.loads(out) == {"file": "-", "tokens": TOKENIZER.encode(text, allowed_special="all")}


def test_tokenize_counts_many_files(run: Any, tmp_path: Path) -> None:
    names = [str(tmp_path / f"{i}.txt") for i in range(70)]
    for i, name in enumerate(names):
        Path(name).write_text("word " * i, encoding="utf-8")
    code, out, _ = run("tokenize", "--count", "--jobs", "2", *names)
    lines = [line.split() for line in out.splitlines()]
    counts = [TOKENIZER.count("word " * i) for i in range(70)]
    assert (code, lines) == (
        0,
        [[str(n), name] for n, name in zip([*counts, sum(counts)], [*names, "total"], strict=True)],
    )


def test_tokenize_names_the_file_that_is_no_text(run: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"ok \xff")
    assert run("tokenize", str(bad)) == (
        MISUSED,
        "",
        f"harmony-py tokenize: {bad}: byte 3 is not UTF-8: invalid start byte\n",
    )
    code, _, err = run("tokenize", str(tmp_path / "none"))
    assert (code, "No such file" in err) == (MISUSED, True)


def test_colours_only_where_they_are_seen(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in run("tokenize", given="a b")[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    _, out, _ = run("tokenize", "--special", given="a\x1b[2J\x07 b<|end|>")
    assert "\x1b[97;48;5;" in out
    assert "\x1b[2J" not in out
    assert "\x07" not in out
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b" in run("tokenize", given="a b")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run("tokenize", given="a b")[1]


# -- render ------------------------------------------------------------------------------------------------

CONVERSATION = [Message.from_role_and_content(Role.USER, "Hi <|end|>")]


@pytest.mark.parametrize("as_list", [True, False])
def test_render_prints_the_prompt(run: Any, as_list: bool) -> None:
    flat = [message.to_dict() for message in CONVERSATION]
    given = json.dumps(flat if as_list else {"messages": flat})
    expected = load_harmony_encoding().render_conversation_for_completion(CONVERSATION)
    assert run("render", given=given)[:2] == (0, " ".join(map(str, expected)) + "\n")
    assert (
        run("render", "--text", given=given)[1]
        == "<|start|>user<|message|>Hi <|end|><|end|><|start|>assistant\n"
    )


def test_render_as_json_says_what_each_token_is(run: Any) -> None:
    sample = [*CONVERSATION, Message.from_role_and_content(Role.ASSISTANT, "Yes").with_channel("final")]
    given = json.dumps([message.to_dict() for message in sample])
    found = json.loads(run("render", "--training", "--json", given=given)[1])
    expected = load_harmony_encoding().render_detailed(sample, training=True)
    assert found["tokens"] == expected.tokens
    assert found["loss_mask"] == expected.loss_mask
    assert [tuple(span.values()) for span in found["spans"]] == [
        (*span[:4], span.role.value, span.channel) for span in expected.spans
    ]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("{", "-: no JSON: "),
        ("[" * 100_000, "-: no JSON: "),
        ('{"message": []}', '-: conversation: expected {"messages": [...]} or a list of messages'),
        ('[{"role": "assistant", "content": null}]', "-: message 0: content: expected text or a list of"),
        ('[{"role": "user", "content": "a", "tool_calls": []}]', "-: message 0: unknown field 'tool_calls'"),
        ('[{"role": "user", "content": "a"}, {"role": "user"}]', "-: message 1: no 'content'"),
        ('[{"role": "nobody", "content": "a"}]', "-: message 0: Unknown role: 'nobody'"),
        ("[1]", "-: message 0: "),
        ('[{"role": "tool", "content": "a"}]', "Tools should have a name!"),
    ],
)
def test_render_names_what_is_wrong(run: Any, given: str, reason: str) -> None:
    code, out, err = run("render", given=given)
    assert (code, out) == (MISUSED, "")
    assert reason in err


@pytest.mark.parametrize(
    ("command", "given"),
    [("render", '[{"role": "user", "content": "Hi"}]'), ("parse", "[200005, 17196, 200008, 19, 200002]")],
)
def test_a_byte_order_mark_before_json_is_passed_over(run: Any, command: str, given: str) -> None:
    assert run(command, given="\ufeff" + given) == run(command, given=given)
    assert run(command, given=given)[0] == 0


# -- parse and inspect -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", "[{}]"])
def test_parse_reads_ids_however_they_are_written(run: Any, form: str) -> None:
    ids = TOKENIZER.encode(ANSWER, allowed_special="all")
    code, out, _ = run("parse", given=form.format(", ".join(map(str, ids))))
    assert (code, out) == (0, "assistant on final\nHi.\n\n")


def test_parse_as_json(run: Any) -> None:
    found = json.loads(run("parse", "--text", "--json", "--policy", "recover", given=MALFORMED + "\n")[1])
    assert [message["content"][0]["text"] for message in found["messages"]] == ["Think.", "Hi."]
    assert [diagnostic["code"] for diagnostic in found["diagnostics"]] == ["missing_start"]
    assert found["pending"] == []
    assert [span["part"] for span in found["spans"]][:3] == ["header", "content", "terminator"]


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_parse_shows_what_was_good_and_where_it_stopped(run: Any, extra: list[str]) -> None:
    code, out, err = run("parse", "--text", *extra, given=MALFORMED)
    assert code == FAILED
    assert "Think." in out
    assert "at token index 6" in out + err


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (MALFORMED, f"  {MALFORMED}\n  {' ' * 43}{'^' * 11}\n"),
        (
            "<|channel|>final<|message|>世界\n<|end|>Hi" + " there" * 20,
            f"  <|channel|>final<|message|>世界↵<|end|>Hi{' there' * 8} ...\n  {' ' * 39}^^\n",
        ),
        ("<|start|>" * 20, f"  ... {'<|start|>' * 8}\n  {' ' * 76}^\n"),
        ("<|channel|>final", "  <|channel|>final\n                  ^\n"),
    ],
)
def test_parse_points_at_the_token(run: Any, given: str, shown: str) -> None:
    code, _, err = run("parse", "--text", given=given)
    assert code == FAILED
    assert err.partition("\n")[2] == shown


def test_parse_points_at_what_is_no_token(run: Any) -> None:
    code, _, err = run("parse", given="200005 17196 200008 12194 200007 300000")
    assert (code, err.partition("\n")[2]) == (
        FAILED,
        "  <|channel|>final<|message|>Hi<|end|><300000>\n" + f"  {' ' * 36}^^^^^^^^\n",
    )
    found = json.loads(run("parse", "--json", "--text", given=MALFORMED)[1])
    assert (found["token_index"], found["token"], found["expected"]) == (6, 200005, ["<|start|>"])


def test_parse_knows_roles_and_tools(run: Any) -> None:
    whole = f"<|start|>user<|message|>Hi<|end|><|start|>assistant{ANSWER}"
    assert (
        run("parse", "--role", "none", "--text", given=whole)[1] == "user\nHi\n\nassistant on final\nHi.\n\n"
    )
    call = "<|channel|>commentary to=f <|constrain|>json<|message|>{}<|call|>"
    _, out, _ = run("parse", "--policy", "recover", "--tool", "functions.f", "--text", given=call)
    assert out.splitlines()[0] == "assistant on commentary -> functions.f (<|constrain|>json)"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("1 two", "-: word 2: expected a token id, found 'two'; for text give --text"),
        ("[1, true]", "-: item 1: expected a token id, found True"),
        ("[1", "-: no JSON: "),
        ("9" * 5000, "-: word 1: expected a token id"),
    ],
)
def test_parse_names_what_is_no_token(run: Any, given: str, reason: str) -> None:
    code, _, err = run("parse", given=given)
    assert code == MISUSED
    assert reason in err


def test_inspect_has_a_line_for_each_token(run: Any) -> None:
    ids = [*TOKENIZER.encode(MALFORMED, allowed_special="all"), -1, 2**70]
    code, out, _ = run("inspect", "--json", given=json.dumps(ids))
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["id"] for row in rows] == ids
    assert next(row["repairs"] for row in rows if row["repairs"]) == ["missing_start"]
    assert rows[2]["next"] == ["text", "<|end|>", "<|return|>", "<|call|>"]
    assert rows[-1]["text"] == "\ufffd"
    code, out, _ = run("inspect", given=json.dumps(ids))
    assert (code, len(out.splitlines())) == (0, 1 + len(ids))
    assert run("inspect", given="")[1].count("\n") == 1


def test_inspect_takes_no_longer_for_each_of_many_repairs(run: Any) -> None:
    def prepare(count: int) -> Callable[[], object]:
        return functools.partial(run, "inspect", "--json", given=json.dumps([300_000] * count))

    assert_linear(prepare, 500)


# -- vocab and doctor --------------------------------------------------------------------------------------


def test_vocab_exports(run: Any, tmp_path: Path) -> None:
    code, out, _ = run("vocab", "export", str(tmp_path), "--json")
    paths = [Path(name) for name in json.loads(out)]
    assert code == 0
    assert [path.read_bytes() == vocab.to_tiktoken() for path in paths] == [True, True]
    assert json.loads(run("vocab", "info", "--json")[1])["sha256"] == vocab.SHA256
    assert run("vocab", "export")[0] == MISUSED
    (tmp_path / "file").touch()
    assert run("vocab", "export", str(tmp_path / "file"))[0] == MISUSED


def test_doctor_finds_nothing_wrong_here_and_says_what_is(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run("doctor", "--json")
    found = {finding["what"]: finding["good"] for finding in json.loads(out)}
    assert code == 0
    assert found["vocabulary"] is True
    assert found["render and parse"] is True
    monkeypatch.setattr(doctor, "EXTRAS", {"no-such-package": ("x", "nothing")})
    code, out, _ = run("doctor")
    assert code == 0
    assert "not installed; for nothing: pip install 'harmony-py[x]'" in out
    monkeypatch.setattr(vocab, "SHA256", "0" * 64)
    code, out, _ = run("doctor")
    assert code == FAILED
    assert "BAD vocabulary" in out


def test_doctor_knows_every_extra() -> None:
    required = importlib.metadata.requires("harmony-py") or []
    found = [re.fullmatch(r"([\w-]+)\W.*extra == ['\"](\w+)['\"]", line) for line in required]
    # Metadata spell names with hyphens, modules with underscores.
    extras = {(match[1].replace("-", "_"), match[2]) for match in found if match}
    named = {(package, extra) for package, (extra, _) in doctor.EXTRAS.items()}
    assert named <= extras
    assert {extra for _, extra in named} == {extra for _, extra in extras}


# -- bench -------------------------------------------------------------------------------------------------


def test_bench_compares_with_what_is_installed(run: Any, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("Some words, and some more: 1, 2, 3.\n" * 200, "utf-8")
    code, out, _ = run(
        "bench", "--file", str(tmp_path / "text"), "--model", "none", "--repeats", "1", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert "tiktoken 0.14.0, openai-harmony 0.0.8" in found["machine"]["versions"]
    figures = {figure["what"]: figure for figure in found["figures"]}
    assert [sorted(figure["others"]) for figure in figures.values()] == [["tiktoken"]] * 3 + [
        ["openai-harmony"]
    ] * 4
    encode = figures["encode text, 0.0036 MB, again"]
    assert encode["ratios"]["tiktoken"] == pytest.approx(encode["ours"] / encode["others"]["tiktoken"])
    start = figures["from import to the first id"]
    assert start["ratios"]["tiktoken"] == pytest.approx(start["others"]["tiktoken"] / start["ours"])


def test_bench_shows_a_table_and_says_where_results_differ(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harmony_py.cli.measure.text.start", lambda repeats: [])
    nonsense = types.SimpleNamespace(encode_ordinary=lambda text: [1])
    monkeypatch.setattr("tiktoken.get_encoding", lambda name: nonsense)
    code, out, _ = run("bench", "--model", "none", "--repeats", "1")
    assert code == FAILED
    assert [line.endswith("  DIFFERENT") for line in out.splitlines() if line.startswith("encode")] == [
        True,
        True,
    ]
    monkeypatch.setattr("harmony_py.cli.measure.installed", list)
    for module in ("text", "messages"):
        monkeypatch.setattr(f"harmony_py.cli.measure.{module}.installed", list)
    code, out, _ = run("bench", "--model", "none", "--repeats", "1")
    assert code == 0
    assert "Nothing to compare with" in out


def test_bench_takes_any_text_but_none(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harmony_py.cli.measure.text.start", lambda repeats: [])
    for text, code in (("", MISUSED), ("é", 0)):
        (tmp_path / "text").write_text(text, "utf-8")
        assert run("bench", "--file", str(tmp_path / "text"), "--model", "none", "--repeats", "1")[0] == code


def test_bench_decodes() -> None:
    assert "class Tokenizer" in own_source()
    figures = decode("toy", 1)
    assert [figure.unit for figure in figures] == ["tokens/s", "tokens/s", "GB/s", "GB/s", "%"]
    _, rate, read, allowed, share = (figure.ours for figure in figures)
    assert rate > 0
    assert share == pytest.approx(100 * read / allowed)
