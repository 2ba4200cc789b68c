"""Which version this is: what the installed package says of itself."""

from importlib.metadata import version
from typing import Final

__version__: Final = version("harmony-py")
