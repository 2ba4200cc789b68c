"""What is handed out: sources that build without a network, and a wheel that needs neither that nor Rust."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it there

if TYPE_CHECKING:
    from email.message import Message

ROOT = Path(__file__).parents[2]
BASE = ["pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"]
"""What a base install brings along."""

# The release's own profile takes minutes; this one gives the same wheel with slower code.
QUICK = {
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "CARGO_PROFILE_RELEASE_BUILD_OVERRIDE_OPT_LEVEL": "1",
}

USE = """
import socket, sys
def refuse(event, _):
    if event.startswith("socket."):
        raise RuntimeError(f"network: {event}")
sys.addaudithook(refuse)
from harmony_py import Conversation, Message, Role, load_harmony_encoding
encoding = load_harmony_encoding()
question = Message.from_role_and_content(Role.USER, "q")
prompt = encoding.render_conversation_for_completion(Conversation.from_messages([question]), Role.ASSISTANT)
[answer] = encoding.parse_messages_from_completion_tokens([200005, 17196, 200008, 19, 200002], Role.ASSISTANT)
print(prompt, answer.channel, answer.text)
"""


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    subprocess.run([sys.executable, ROOT / "packaging" / "sdist.py", folder], check=True)
    [archive] = folder.iterdir()
    return archive


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, by a cargo that has nothing in store and may not fetch."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    [tree] = folder.iterdir()
    alone = ["--no-index", "--no-build-isolation", "--no-deps"]
    environment = {**os.environ, **QUICK, "CARGO_HOME": str(folder / "cargo"), "CARGO_NET_OFFLINE": "true"}
    environment.pop("CARGO_TARGET_DIR", None)
    command = [sys.executable, "-m", "pip", "wheel", *alone, "--wheel-dir", folder, tree]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_string(archive.read(name).decode())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of an environment that has the wheel, what it requires, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    here = Path(importlib.metadata.distribution("pydantic").locate_file(""))
    for package in BASE:
        for path in [*here.glob(package), *here.glob(f"{package}.py"), *here.glob(f"{package}-*.dist-info")]:
            (packages / path.name).symlink_to(path)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
    bare = {"PATH": "/nowhere", "HOME": str(folder)}
    subprocess.run([*pip, "install", "--quiet", "--no-index", wheel], check=True, env=bare)
    subprocess.run([*pip, "check"], check=True, env=bare)
    return folder / "bin"


def files_of_the_package() -> set[str]:
    command = ["git", "ls-files", "harmony_py"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return set(listed.stdout.splitlines())


def test_the_source_distribution_holds_every_crate(sdist: Path) -> None:
    lock = tomllib.loads((ROOT / "rust_ext" / "Cargo.lock").read_text())
    with tarfile.open(sdist) as archive:
        folders = {name.split("/")[3] for name in archive.getnames() if "/rust_ext/vendor/" in name}
    assert folders == {
        f"{crate['name']}-{crate['version']}" for crate in lock["package"] if "source" in crate
    }


def test_the_source_distribution_holds_the_package(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert files_of_the_package() <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO", "rust_ext/Cargo.lock"} <= names


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    [extension] = [
        name for name in names if name.startswith("harmony_py/_rust.") and not name.endswith(".pyi")
    ]
    assert set(names) - {extension} == files_of_the_package()
    assert "harmony_py/py.typed" in names
    assert wheel.stat().st_size < 5_000_000


def test_the_metadata(metadata: Message) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    crate = tomllib.loads((ROOT / "rust_ext" / "Cargo.toml").read_text())["package"]
    assert metadata["Name"] == "harmony-py"
    assert metadata["Version"] == project["version"] == crate["version"]
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == crate["license"]
    assert metadata.get_payload().startswith("# harmony_py")
    base = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert [line.partition(">")[0].strip() for line in base] == ["pydantic"]
    assert set(metadata.get_all("Provides-Extra", [])) == set(project["optional-dependencies"])


def test_it_works_without_network_and_without_rust(installed: Path) -> None:
    command = [installed / "python", "-I", "-c", USE]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={"PATH": "/nowhere"})
    assert done.stdout == "[200006, 1428, 200008, 80, 200007, 200006, 173781] final 4\n"


def test_the_command_is_there(installed: Path) -> None:
    command = [installed / "harmony-py", "tokenize", "--count"]
    done = subprocess.run(command, input="hello world", check=True, capture_output=True, text=True, env={})
    assert done.stdout.split() == ["2", "-"]
