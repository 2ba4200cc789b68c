"""The example answers a request as a server would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.wire_oracle import accumulated

SCRIPT = Path(__file__).parents[2] / "examples" / "serve_once.py"


def answered(request: Any) -> tuple[int, list[dict[str, Any]]]:
    ran = subprocess.run(
        [sys.executable, SCRIPT],
        input=json.dumps(request),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.stderr == ""
    return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines()]


def test_a_request_is_answered() -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi."}], "stream": True}
    code, chunks = answered({**asked, "stream_options": {"include_usage": True}})
    assert code == 0
    found = accumulated(chunks)
    [choice] = found["choices"]
    assert choice["message"]["content"] == f"{found['usage']['prompt_tokens']} tokens."
    assert choice["message"]["reasoning"] == "Count."


def test_a_mistake_is_told() -> None:
    code, [error] = answered({"model": "m"})
    assert code == 1
    assert error["error"]["param"] == "messages"
