"""Who may import whom, and the other rules of the house (`docs/architecture.md`)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harmony_py.tokenizer.special import LAST_RESERVED, START_OF_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "harmony_py"
MODULES = sorted(PACKAGE.rglob("*.py"))

FLOORS = [
    {"errors", "lazy", "version", "_rust"},
    {"tokenizer", "chat"},
    {"model"},
    {"format"},
    {"wire", "constrain"},
    {"engines", "testing", "tools"},
    {"compat", "serve", "inspector"},
    {"cli"},
    {"__init__", "__main__"},
]
"""Lowest first. A room imports from itself and from lower floors."""

FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

HOSTS = {
    "httpx2",
    "hypothesis",
    "ipykernel",
    "jupyter_client",
    "llama_cpp",
    "llguidance",
    "mcp",
    "numpy",
    "openai",
    "openai_harmony",
    "pyarrow",
    "ray",
    "regex",
    "safetensors",
    "sglang",
    "starlette",
    "tiktoken",
    "tokenizers",
    "torch",
    "transformers",
    "triton",
    "uvicorn",
    "vllm",
    "xgrammar",
    "xllamacpp",
    "zmq",
}
"""What `import harmony_py` must not pull in: not everybody has it, and it takes time."""


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(module: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything that `module` imports, at any time, for types as well."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: imports are absolute"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_a_room_imports_only_from_lower_floors(module: Path) -> None:
    room = room_of(module)
    assert room in FLOOR_OF, f"{room} has no floor yet: give it one here and in docs/architecture.md"
    for line, name in imports_of(module):
        package, _, rest = name.partition(".")
        if package != "harmony_py":
            continue
        other = rest.partition(".")[0]
        assert other in FLOOR_OF, f"{module}:{line}: imports {name}; rooms import from each other's modules"
        assert other == room or FLOOR_OF[other] < FLOOR_OF[room], f"{module}:{line}: {room} imports {name}"


def test_importing_the_package_imports_no_host() -> None:
    script = "import sys, harmony_py; print(*{name.partition('.')[0] for name in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert "harmony_py" in loaded
    assert loaded & HOSTS == set()


def test_ids_of_control_tokens_stand_in_one_place() -> None:
    ids = range(START_OF_TEXT, LAST_RESERVED + 1)
    found = [
        f"{module.relative_to(ROOT)}:{node.lineno}: {node.value}"
        for module in MODULES
        if module != PACKAGE / "tokenizer" / "special.py"
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value in ids
    ]
    assert found == []


def test_files_are_short() -> None:
    files = [
        *MODULES,
        *ROOT.glob("rust_ext/src/**/*.rs"),
        *ROOT.glob("rust_ext/build/*.rs"),
        *(path for folder in ("tests", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")),
    ]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > 600} == {}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_functions_are_short(module: Path) -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(module.read_text("utf-8"))) if isinstance(node, functions)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in nodes}
    assert {name: length for name, length in lengths.items() if length > 60} == {}


def test_every_package_says_what_it_is() -> None:
    packages = [module for module in MODULES if module.name == "__init__.py"]
    silent = [
        str(module) for module in packages if not ast.get_docstring(ast.parse(module.read_text("utf-8")))
    ]
    folders = {module.parent for module in MODULES}
    assert silent == []
    assert {folder for folder in folders if not (folder / "__init__.py").exists()} == set()


def test_every_public_name_is_there_and_the_tokenizer_alone_needs_no_pydantic() -> None:
    script = (
        "import sys, harmony_py\n"
        "harmony_py.Tokenizer.o200k_harmony().encode('hi')\n"
        "assert 'pydantic' not in sys.modules\n"
        "for name in harmony_py.__all__: assert getattr(harmony_py, name) is not None\n"
        "assert set(harmony_py.__all__) <= set(dir(harmony_py))\n"
        "assert not hasattr(harmony_py, 'nonsense')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("room", "name", "package", "extra"),
    [
        ("model", "load", "torch", "model"),
        ("serve", "application", "starlette", "serve"),
        ("serve", "Background", "uvicorn", "serve"),
        ("serve", "Batched", "torch", "model"),
    ],
)
def test_what_is_not_installed_is_named_with_its_extra(
    room: str, name: str, package: str, extra: str
) -> None:
    script = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"try: from harmony_py.{room} import {name}\n"
        f"except ImportError as problem: print(problem)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"needs {package}: pip install 'harmony-py[{extra}]'" in ran.stdout
