"""Any property with coverage as a guide, by atheris: it reaches what hypothesis alone would reach by luck.

    python tests/fuzz_property.py tests/property/test_parse_properties.py \
        test_events_tell_what_the_result_does -max_total_time=60

Options that begin with `-` are libFuzzer's. A failing example is printed by hypothesis, shrunk, and kept in
its database, so that pytest finds it again at once.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import atheris

INSTRUMENTED = ["harmony_py.chat", "harmony_py.format", "harmony_py.wire"]


def load(path: Path) -> Any:
    """The test module at `path`, with our own code instrumented."""
    sys.path[:0] = [str(Path(__file__).parent), str(path.parent)]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    with atheris.instrument_imports(include=INSTRUMENTED):
        spec.loader.exec_module(module)
    return module


def main() -> None:
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if len(names) != 2:
        raise SystemExit(__doc__)
    property_ = getattr(load(Path(names[0])), names[1])
    atheris.Setup([sys.argv[0], *options], property_.hypothesis.fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
