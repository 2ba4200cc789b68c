"""A patch as the models write it, read into sections, one a file."""

from __future__ import annotations

import json
import re
from typing import Final, Literal, NamedTuple, TypeAlias

from harmony_py.errors import ToolError

BEGIN: Final = "*** Begin Patch"
END: Final = "*** End Patch"
ADD: Final = "*** Add File: "
DELETE: Final = "*** Delete File: "
UPDATE: Final = "*** Update File: "
MOVE: Final = "*** Move to: "
END_OF_FILE: Final = "*** End of File"

LONGEST: Final = 2**20
"""Characters of a patch."""

_RANGE: Final = re.compile(r"-\d+(,\d+)? \+\d+(,\d+)? @@.*")
"""Line numbers as `diff` writes them. They are often wrong, and no text to search for."""

Mark: TypeAlias = Literal[" ", "-", "+"]
_MARKS: Final[dict[str, Mark]] = {" ": " ", "-": "-", "+": "+"}


class Hunk(NamedTuple):
    """Lines that stay, go and come, in one place."""

    headers: tuple[str, ...]
    """Lines of the file behind which the place is, each behind the one before."""
    lines: tuple[tuple[Mark, str], ...]
    at_end: bool
    """The lines are the last ones of the file."""


class Add(NamedTuple):
    path: str
    lines: tuple[str, ...]


class Delete(NamedTuple):
    path: str


class Update(NamedTuple):
    path: str
    move_to: str | None
    hunks: tuple[Hunk, ...]


Section: TypeAlias = Add | Delete | Update


def unwrapped(text: str) -> str:
    """The patch in a call: as it stands, in a JSON string, or as the only value of a JSON object."""
    if not text.lstrip().startswith(("{", '"')):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict) and len(value) == 1:
        [value] = value.values()
    return value if isinstance(value, str) else text


def read(patch: str) -> list[Section]:
    """The sections of a patch; `ToolError` names the line that is no part of one."""
    if len(patch) > LONGEST:
        raise ToolError(f"the patch has {len(patch)} characters; at most {LONGEST} are taken")
    try:
        patch.encode()
    except UnicodeEncodeError as error:
        raise ToolError(f"the patch cannot be written in UTF-8: {error.reason}") from None
    return _Reader(patch).sections()


class _Reader:
    def __init__(self, patch: str) -> None:
        # Only "\n" ends a line: files hold "\x0b" and "\u2028" within lines.
        self._lines = patch.strip().split("\n")
        if self._lines[0].endswith("\r"):
            self._lines = [line.removesuffix("\r") for line in self._lines]
        self._at = 0

    def sections(self) -> list[Section]:
        if self._lines[0].rstrip() != BEGIN:
            raise ToolError(f"line 1: expected {BEGIN!r}, found {_shown(self._lines[0])}")
        if self._lines[-1].rstrip() != END:
            raise ToolError(f"the last line: expected {END!r}, found {_shown(self._lines[-1])}")
        self._lines.pop()
        self._at = 1
        sections: list[Section] = []
        while (line := self._peek()) is not None:
            if line.strip():
                sections.append(self._section(line))
            else:
                self._at += 1
        if not sections:
            raise ToolError("the patch has no section: expected '*** Add File: ', 'Update' or 'Delete'")
        return sections

    def _section(self, line: str) -> Section:
        self._at += 1
        if line.startswith(ADD):
            return Add(_path(line, ADD), self._added())
        if line.startswith(DELETE):
            return Delete(_path(line, DELETE))
        if line.startswith(UPDATE):
            return self._update(_path(line, UPDATE))
        expected = " or ".join(repr(start) for start in (ADD, UPDATE, DELETE))
        raise self._error(self._at, f"expected {expected}", line)

    def _added(self) -> tuple[str, ...]:
        lines: list[str] = []
        while (line := self._peek()) is not None and not line.startswith("*** "):
            self._at += 1
            if line.startswith("+"):
                lines.append(line[1:])
            elif line:
                raise self._error(self._at, "expected '+' before each line of a new file", line)
        return tuple(lines)

    def _update(self, path: str) -> Update:
        move_to = None
        line = self._peek()
        if line is not None and line.startswith(MOVE):
            move_to = _path(line, MOVE)
            self._at += 1
        hunks: list[Hunk] = []
        while not self._at_section():
            hunks.append(self._hunk())
        if not hunks and move_to is None:
            raise ToolError(f"line {self._at}: the section on {path!r} changes nothing")
        return Update(path, move_to, tuple(hunks))

    def _at_section(self) -> bool:
        """Whether there are only empty lines before the next section or the end; then they are passed."""
        at = self._at
        while at < len(self._lines) and not self._lines[at]:
            at += 1
        if at < len(self._lines) and not self._lines[at].startswith((ADD, DELETE, UPDATE)):
            return False
        self._at = at
        return True

    def _hunk(self) -> Hunk:
        headers = self._headers()
        lines: list[tuple[Mark, str]] = []
        at_end = False
        while (line := self._peek()) is not None and not line.startswith(("@@", ADD, DELETE, UPDATE)):
            self._at += 1
            if line.rstrip() == END_OF_FILE:
                at_end = True
                break
            lines.append(self._marked(line))
        if not lines:
            raise self._error(self._at, "expected lines that begin with ' ', '-' or '+'", line or END)
        return Hunk(headers, tuple(lines), at_end)

    def _headers(self) -> tuple[str, ...]:
        headers: list[str] = []
        while (line := self._peek()) is not None and line.startswith("@@"):
            self._at += 1
            header = line[2:].removeprefix(" ")
            if header.strip() and not _RANGE.fullmatch(header.strip()):
                headers.append(header)
        return tuple(headers)

    def _marked(self, line: str) -> tuple[Mark, str]:
        if not line:
            return " ", ""  # editors and models trim the space of an empty line
        if mark := _MARKS.get(line[0]):
            return mark, line[1:]
        raise self._error(self._at, "expected ' ', '-' or '+' before each line of a hunk", line)

    def _peek(self) -> str | None:
        return self._lines[self._at] if self._at < len(self._lines) else None

    @staticmethod
    def _error(number: int, expected: str, found: str) -> ToolError:
        return ToolError(f"line {number} of the patch: {expected}, found {_shown(found)}")


def _path(line: str, start: str) -> str:
    return line.removeprefix(start).strip()


def _shown(line: str) -> str:
    return repr(line if len(line) <= 80 else f"{line[:80]}...")
