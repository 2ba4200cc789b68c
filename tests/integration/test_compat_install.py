"""Switching over: `install()`, and the distribution that provides the module."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SHIM = Path(__file__).parents[2] / "packaging" / "openai-harmony-shim" / "src"

USE = """
import openai_harmony
from openai_harmony import Conversation, Message, Role, load_harmony_encoding
encoding = load_harmony_encoding("HarmonyGptOss")
prompt = encoding.render_conversation_for_completion(
    Conversation.from_messages([Message.from_role_and_content(Role.USER, "q")]), Role.ASSISTANT
)
print(openai_harmony.__name__, prompt)
"""
OURS = "harmony_py.compat.openai_harmony [200006, 1428, 200008, 80, 200007, 200006, 173781]"


def run(script: str, **environment: str) -> str:
    variables = {**os.environ, **environment}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout.strip()


def test_install_takes_the_place_of_the_original() -> None:
    assert run("from harmony_py import compat\ncompat.install()" + USE) == OURS


def test_uninstall_gives_it_back() -> None:
    switch = "from harmony_py import compat\ncompat.install()\nimport openai_harmony\ncompat.uninstall()"
    assert run(switch + USE).startswith("openai_harmony [200006,")


def test_without_install_nothing_is_replaced() -> None:
    assert run("import harmony_py.compat.openai_harmony" + USE).startswith("openai_harmony [200006,")


def test_the_shim_is_found_before_the_original() -> None:
    assert run(USE, PYTHONPATH=str(SHIM)) == OURS
