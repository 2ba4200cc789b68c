"""One page that shows tokens: what a conversation becomes, what each token is, what a parser makes of it.

`serve` shows it to a browser on this machine, `export` writes it as one file that needs nothing else. Both
are the same document and ask the same questions (`answer`): a server answers them as they come, a file has
the answers inside. `harmony-py inspector` is the command.
"""

from harmony_py.inspector.answer import answer
from harmony_py.inspector.examples import Example, conversation
from harmony_py.inspector.export import export
from harmony_py.inspector.server import Inspector
from harmony_py.inspector.source import Source, SourceError, guess

__all__ = ["Example", "Inspector", "Source", "SourceError", "answer", "conversation", "export", "guess"]
