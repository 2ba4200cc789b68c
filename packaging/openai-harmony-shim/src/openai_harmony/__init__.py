"""`openai_harmony`, provided by harmony_py."""

from harmony_py.compat import install

# From here on every import of this name gives the drop-in itself, not a copy of its names.
install()
