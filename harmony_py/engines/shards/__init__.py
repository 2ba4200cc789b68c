"""Conversations to training shards: ids, loss mask and the bounds of samples, in files for a trainer.

The input is cut into parts, and each part becomes a shard by one plain function (`build`), so that one
process, many, or a cluster (`harmony_py.engines.ray`) write the same bytes.
"""

from harmony_py.engines.shards.counts import summary
from harmony_py.engines.shards.reading import Row, read_shards, verify
from harmony_py.engines.shards.recipe import Recipe
from harmony_py.engines.shards.run import make_shards

__all__ = ["Recipe", "Row", "make_shards", "read_shards", "summary", "verify"]
