"""What was found and what became of it, in numbers: of a shard, and of all shards together."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harmony_py.engines.shards.layout import Shard

NAMES: Final = (
    "records",
    "errors",
    "conversations",
    "channelless",
    "cut",
    "samples",
    "untrained",
    "rows",
    "tokens",
    "trained",
    "padding",
)
"""Records read, and of these errors and conversations; conversations in which the assistant speaks on no
channel, and those that were cut; samples, and those with
nothing to train on; rows; tokens of samples, and those trained on; tokens that only fill rows up."""


def counted(shard: Shard) -> dict[str, int]:
    """What can be seen in the shard itself."""
    tokens = sum(bounds.stop - bounds.start for bounds in shard.samples)
    mask = bytes(shard.mask)
    return {
        "samples": len(shard.samples),
        "untrained": sum(mask.find(1, bounds.start, bounds.stop) < 0 for bounds in shard.samples),
        "rows": sum(1 for _ in shard.rows()),
        "tokens": tokens,
        "trained": mask.count(1),
        "padding": len(shard.ids) - tokens,
    }


def lengths(shard: Shard) -> dict[str, int]:
    """How many samples have up to so many tokens, and more than half of that."""
    found = Counter(1 << (bounds.stop - bounds.start - 1).bit_length() for bounds in shard.samples)
    return {str(most): found[most] for most in sorted(found)}


def summed(many: Iterable[Mapping[str, int]], names: Iterable[str] = ()) -> dict[str, int]:
    """Sums by name: of `names`, or else of whatever there is, the smallest number first."""
    total: Counter[str] = Counter(dict.fromkeys(names, 0))
    for each in many:
        total.update(each)
    return {name: total[name] for name in (names or sorted(total, key=int))}


def summary(manifest: Mapping[str, Any]) -> str:
    """A manifest's numbers in a few lines."""
    counts = manifest["counts"]
    tokens = counts["tokens"]
    trained = counts["trained"] / max(1, tokens)
    padding = counts["padding"] / max(1, tokens + counts["padding"])
    what, many = counts["records"], counts["conversations"]
    idle = f"; {counts['untrained']:,} have nothing to train on" if counts["untrained"] else ""
    lines = [
        f"{many:,} conversations of {what:,} records, {counts['errors']:,} errors, {counts['cut']:,} cut",
        f"{tokens:,} tokens in {counts['samples']:,} samples, {trained:.1%} trained on{idle}",
        f"{counts['rows']:,} rows in {len(manifest['shards']):,} shards, {padding:.1%} padding",
    ]
    if counts["channelless"]:
        lines.append(
            f"{counts['channelless']:,} conversations where the assistant speaks on no channel, which models "
            "never do; data in OpenAI's form needs the form 'chat'"
        )
    most = max(manifest["lengths"].values(), default=1)
    for upper, count in manifest["lengths"].items():
        bar = "#" * -(-30 * count // most)
        lines.append(f"  up to {int(upper):>9,} tokens  {count:>9,}  {bar}")
    return "\n".join(lines)
