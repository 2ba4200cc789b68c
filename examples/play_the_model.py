"""Call the models' tools as a model would, and see what it would be told.

    printf 'browser.search {"query": "id"}\\n---\\npython 6 * 7\\n' | python examples/play_the_model.py docs

Calls come on standard input, with `---` on a line between them: the tool's name, then its arguments in JSON,
or its text. The folder is the browser's; `--edit` lets `functions.apply_patch` change it.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from harmony_py import Message, Role
from harmony_py.engines.tools import Tools
from harmony_py.tools.apply_patch import ApplyPatch
from harmony_py.tools.browser import Browser, FolderBackend
from harmony_py.tools.python import Limits, Python


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--edit", action="store_true", help="let patches change the folder")
    parser.add_argument("--seconds", type=float, default=120.0, help="for each piece of code")
    options = parser.parse_args(arguments)
    failed = False
    with ExitStack() as stack:
        python = stack.enter_context(Python(limits=Limits(seconds=options.seconds)))
        tools = Tools(
            {
                **Browser(FolderBackend(options.folder)).callables,
                **python.callables,
                **(ApplyPatch(options.folder).callables if options.edit else {}),
            }
        )
        for call in sys.stdin.read().split("\n---\n"):
            name, *rest = call.strip().split(maxsplit=1)
            message = Message.from_role_and_content(Role.ASSISTANT, "".join(rest)).with_recipient(name)
            answer = tools.run(message)
            failed = failed or answer.error is not None
            print(answer.text, end="\n\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
