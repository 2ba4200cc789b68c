r"""A Markdown extension for the documentation's site: `\|` in the code of a table is a bar, as on GitHub.

Python-Markdown shows the backslash; without it GitHub takes the bar for the end of a cell.
"""

from __future__ import annotations

import re
from typing import Any

from markdown.extensions import Extension
from markdown.postprocessors import Postprocessor

_CELL = re.compile(r"<t[dh][ >].*?</t[dh]>", re.DOTALL)
_CODE = re.compile(r"<code>.*?</code>", re.DOTALL)


class _Bars(Postprocessor):
    def run(self, text: str) -> str:
        return _CELL.sub(lambda cell: _CODE.sub(lambda code: code[0].replace("\\|", "|"), cell[0]), text)


class _Extension(Extension):
    def extendMarkdown(self, md: Any) -> None:  # noqa: N802  # their name
        md.postprocessors.register(_Bars(md), "table_bars", 0)


def makeExtension(**options: Any) -> Extension:  # noqa: N802  # their name
    return _Extension(**options)
