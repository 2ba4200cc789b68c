"""`python packaging/sdist.py dist`: the source distribution, with every crate it is built from inside.

What maturin writes fetches its crates when it is built, which is of no use where there is no network. So the
crates that `Cargo.lock` names are put into it, with the lines that tell cargo to take them. cargo checks each
against its sum in `Cargo.lock`.
"""

from __future__ import annotations

import argparse
import gzip
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
CRATES = "rust_ext/vendor"
CARGO_CONFIG = f"""\
# The crates stand in this folder: nothing is fetched.
[source.crates-io]
replace-with = "vendored"

[source.vendored]
directory = "{CRATES}"

[net]
offline = true
"""


def vendored_crates(folder: Path) -> list[Path]:
    """Every file of every crate in `Cargo.lock`, put below `folder` by cargo."""
    command = ["cargo", "vendor", "--quiet", "--locked", "--versioned-dirs", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT / "rust_ext", stdout=subprocess.DEVNULL)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def plain_sdist(folder: Path) -> Path:
    """What maturin makes of the tree."""
    command = [sys.executable, "-m", "maturin", "sdist", "--out", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"maturin wrote no source distribution:\n{done.stderr}")
    [archive] = folder.glob("*.tar.gz")
    return archive


def members(archive: Path, crates: Path, files: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Names below the distribution's own folder, and contents."""
    with tarfile.open(archive) as plain:
        for member in plain:
            content = plain.extractfile(member)
            if content is not None:
                yield member.name.partition("/")[2], content.read()
    yield ".cargo/config.toml", CARGO_CONFIG.encode()
    for file in files:
        yield f"{CRATES}/{file.relative_to(crates).as_posix()}", file.read_bytes()


def write(folder: Path) -> Path:
    """The archive, in `folder`: the same bytes for the same tree and the same tools."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        plain = plain_sdist(Path(scratch) / "plain")
        crates = Path(scratch) / "crates"
        contents = dict(members(plain, crates, vendored_crates(crates)))
        target = folder / plain.name
        # Neither the archive nor its members carry a time, an owner or a place.
        with gzip.GzipFile(target, "wb", mtime=0) as file, tarfile.open(fileobj=file, mode="w") as archive:
            for name in sorted(contents):
                entry = tarfile.TarInfo(f"{plain.name.removesuffix('.tar.gz')}/{name}")
                entry.size = len(contents[name])
                archive.addfile(entry, io.BytesIO(contents[name]))
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description="The source distribution, with its crates.")
    parser.add_argument("folder", type=Path, help="where the archive goes")
    archive = write(parser.parse_args().folder)
    print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
