"""What every test may rely on: offline oracles and one set of hypothesis profiles."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import pytest

from harmony_py.tokenizer import vocab

# A slow example says more about a shared machine than about the code: no deadline. CI draws the same examples
# every time; the nightly profile is the one that explores.
_patient = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("dev", _patient, max_examples=50)
hypothesis.settings.register_profile("ci", _patient, max_examples=300, derandomize=True)
hypothesis.settings.register_profile("nightly", _patient, max_examples=5000)
_default_profile = "ci" if os.environ.get("CI") else "dev"
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", _default_profile))

_directory = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Exports our vocabulary for the oracles, and tames torch, before any test module can import them."""
    # Torch's threads would spin while they wait, on the cores that other workers need.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    directory = Path(tempfile.mkdtemp(prefix="harmony-vocabulary-"))
    config.stash[_directory] = directory
    vocab.export(directory)
    for variable in ("TIKTOKEN_ENCODINGS_BASE", "TIKTOKEN_CACHE_DIR", "TIKTOKEN_RS_CACHE_DIR"):
        os.environ[variable] = str(directory)


def pytest_unconfigure(config: pytest.Config) -> None:
    if directory := config.stash.get(_directory, None):
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def vocabulary_directory(pytestconfig: pytest.Config) -> Path:
    """The directory from which tiktoken and openai-harmony read the vocabulary, no network needed."""
    return pytestconfig.stash[_directory]
