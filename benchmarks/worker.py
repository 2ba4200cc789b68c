"""The measured process: one library, one job, given as JSON on the command line and answered as JSON.

Importing this imports no library; each job loads its own, so that nothing is warm that should be cold.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import string
import sys
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import pin, timed
from benchmarks.libraries import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.libraries import Engine

Job = dict[str, Any]
SLOW = 0.2
"""Seconds from which on one more repeat in a process says enough."""


def engine(job: Job) -> Engine:
    return LIBRARIES[job["library"]].load(Path(job["vocabulary"]))


def encoder(job: Job, library: Engine) -> Callable[[str], Any]:
    """The call that the job's `output` names: `list`, `array`, or `fastest`, an array where there is one."""
    output = job["output"]
    if output == "fastest":
        return library.to_array or library.to_list
    call = library.to_list if output == "list" else library.to_array
    if call is None:
        raise NotImplementedError(f"{job['library']} has no {output} output")
    return call


def read(path: str) -> str:
    """The text in `path`, a new `str` each time, line ends untouched."""
    return Path(path).read_bytes().decode("utf-8")


def digest(ids: Any) -> str:
    """A fingerprint of ids, the same for a list as for an array."""
    buffer = array("I", ids) if isinstance(ids, list) else ids
    return hashlib.sha256(memoryview(buffer).cast("B")).hexdigest()


def encode(job: Job) -> Job:
    """Cold: load and first half. Fresh: then the second half, unseen. Repeat: the second half again."""
    first, second = read(job["first"]), read(job["second"])
    made: list[Any] = []

    def cold() -> Callable[[str], Any]:
        call = encoder(job, engine(job))
        made.append(call(first))
        return call

    cold_seconds, call = timed(cold)
    fresh, ids = timed(lambda: call(second))
    again = [read(job["second"]) for _ in range(3 if fresh.wall < SLOW else 1)]
    repeat = min(timed(lambda text=text: call(text))[0] for text in again)  # type: ignore[misc]
    return {
        "cold": cold_seconds._asdict(),
        "fresh": fresh._asdict(),
        "repeat": repeat._asdict(),
        "digests": [digest(made[0]), digest(ids)],
    }


def worst(job: Job) -> Job:
    """Each variant once, after one more that is not measured."""
    call = encoder(job, engine(job))
    warm, *variants = job["variants"]
    call(read(warm))
    measured = []
    for path in variants:
        text = read(path)
        measured.append(timed(lambda text=text: call(text)))  # type: ignore[misc]
    return {
        "seconds": [seconds._asdict() for seconds, _ in measured],
        "digests": [digest(ids) for _, ids in measured],
    }


def reference(job: Job) -> Job:
    """The right ids' fingerprints; of a `whole` text, which is one piece, without splitting it."""
    library = engine(job)
    call = library.whole_piece if job["whole"] else library.to_list
    if call is None:
        raise NotImplementedError(f"{job['library']} always splits")
    return {"digests": [digest(call(read(path))) for path in job["texts"]]}


def short(job: Job) -> Job:
    """Calls on strings cut from unseen text, each length from a part of its own, other text seen before."""
    call = encoder(job, engine(job))
    call(read(job["first"]))
    unseen, lengths = read(job["second"]), job["lengths"]
    part = len(unseen) // len(lengths)
    answer: Job = {"digests": []}
    for place, (length, count) in enumerate(lengths):
        texts = list(cuts(unseen[place * part : (place + 1) * part], length, count))

        def every(texts: list[str] = texts) -> None:
            for text in texts:
                call(text)

        seconds, _ = timed(every)
        answer[str(length)] = {clock: value / len(texts) for clock, value in seconds._asdict().items()}
        fingerprints = "".join(digest(call(text)) for text in texts)
        answer["digests"].append(hashlib.sha256(fingerprints.encode()).hexdigest())
    return answer


def cuts(text: str, length: int, count: int) -> Iterator[str]:
    """`count` strings of `length` characters spread over `text`, none overlapping while it is long enough."""
    step = max(len(text) // count, length)
    return (text[start : start + length] for start in range(0, min(len(text) - length, step * count), step))


def decode(job: Job) -> Job:
    """A list of all ids at once, and ids in tens."""
    library = engine(job)
    if library.decode is None:
        raise NotImplementedError(f"{job['library']} has no decode")
    call = library.decode
    ids = library.to_list(read(job["second"]))
    tens = [ids[start : start + 10] for start in range(0, 20_000, 10)]

    def each() -> None:
        for ten in tens:
            call(ten)

    whole = call(ids)
    return {
        "all": min(timed(lambda: call(ids))[0] for _ in range(3))._asdict(),
        "tokens": len(ids),
        "tens": timed(each)[0]._asdict(),
        "calls": len(tens),
        "digests": [hashlib.sha256(whole.encode() if isinstance(whole, str) else whole).hexdigest()],
    }


def count(job: Job) -> Job:
    """How many ids, by the call that only counts, or by the fastest one that makes them."""
    call = counter(engine(job))
    call(read(job["first"]))
    second, again = read(job["second"]), read(job["second"])
    (fresh, number), (repeat, _) = timed(lambda: call(second)), timed(lambda: call(again))
    return {"fresh": fresh._asdict(), "repeat": repeat._asdict(), "digests": [str(number)]}


def counter(library: Engine) -> Callable[[str], int]:
    if library.count_only is not None:
        return library.count_only
    if library.to_array is not None:
        to_array = library.to_array
        return lambda text: memoryview(to_array(text)).nbytes // 4
    return lambda text: len(library.to_list(text))


def batch(job: Job) -> Job:
    """The unseen half as many documents, or as one text, given to the batch call with the job's threads."""
    library, threads = engine(job), job["threads"]
    if library.batch is None:
        raise NotImplementedError(f"{job['library']} takes no batches")
    call, divide = library.batch, documents if job["shape"] == "documents" else lambda text: [text]
    call(divide(read(job["first"])), threads)
    texts = divide(read(job["second"]))
    seconds, result = timed(lambda: call(texts, threads))
    return {"seconds": seconds._asdict(), "digests": [digest(library.flatten(result))]}


def documents(text: str, size: int = 4_000) -> list[str]:
    """`text` in pieces of about `size` characters, cut after line ends."""
    pieces, start = [], 0
    while start < len(text):
        end = text.find("\n", start + size) + 1 or len(text)
        pieces.append(text[start:end])
        start = end
    return pieces


def startup(job: Job) -> Job:
    """From before the import to the first id, and how much of it the import takes."""
    began = time.perf_counter()
    importlib.import_module(LIBRARIES[job["library"]].module)
    imported = time.perf_counter()
    engine(job).to_list("Hello, world.")
    ready = time.perf_counter()
    return {"import": imported - began, "first id": ready - began}


def memory(job: Job) -> Job:
    """Resident bytes: what loading adds to the interpreter, and a million different words to that."""
    before = resident()
    library = engine(job)
    library.to_list("Hello, world.")
    loaded = resident()
    call = library.to_array or library.to_list
    rng = random.Random(1)
    for _ in range(100):
        words = ("".join(rng.choices(string.ascii_lowercase, k=rng.randrange(3, 11))) for _ in range(10_000))
        call(" ".join(words))
    return {"load": loaded - before, "growth": resident() - loaded}


def resident() -> int:
    """Bytes of this process in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


JOBS: dict[str, Callable[[Job], Job]] = {
    function.__name__: function
    for function in (encode, worst, reference, short, decode, count, batch, startup, memory)
}


def main() -> None:
    job = json.loads(sys.argv[1])
    pin(job.get("threads", 1))
    print(json.dumps(JOBS[job["job"]](job)))


if __name__ == "__main__":
    main()
