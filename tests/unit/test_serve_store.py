"""What is remembered of responses: the same in memory and in a file, bounded, for several threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmony_py.chat import Message, Role
from harmony_py.errors import HarmonyError
from harmony_py.serve.store import InFile, InMemory
from harmony_py.wire.responses import MemoryStore, Past

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 3


def response(name: str, *items: str) -> dict[str, Any]:
    output = [{"id": item, "type": "message", "of": name} for item in items]
    return {"id": name, "object": "response", "output": output}


def past(*texts: str) -> Past:
    turns = [Message.from_role_and_content(Role.USER, text) for text in texts]
    call = Message.from_role_and_content(Role.ASSISTANT, '{"a": 1}').with_channel("commentary")
    call = call.with_recipient("functions.f").with_content_type("<|constrain|>json")
    return Past((*turns, call), {f"call_{text}": "functions.f" for text in texts})


def seen(found: Past | None) -> Any:
    return found and ([turn.to_dict() for turn in found.turns], dict(found.calls))


NAMES = st.sampled_from(["r1", "r2", "r3", "r4", "r5"])
ITEMS = st.lists(st.sampled_from(["i1", "i2", "i3", "i4"]), max_size=2, unique=True)
DONE = st.one_of(
    st.tuples(st.just("put"), NAMES, ITEMS, st.text(max_size=3)),
    st.tuples(st.sampled_from(["forget", "response", "past"]), NAMES),
    st.tuples(st.just("item"), st.sampled_from(["i1", "i2", "i3", "i4"])),
)


@given(st.lists(DONE, max_size=25))
def test_a_file_remembers_what_memory_does(done: list[Any]) -> None:
    stores: list[Any] = [MemoryStore(LIMIT), InMemory(LIMIT, 1 << 20), InFile(":memory:", LIMIT)]  # type: ignore[arg-type]
    for what, name, *more in done:
        found = []
        for store in stores:
            if what == "put":
                items, text = more
                store.put(response(name, *items), past(text))
            else:
                result = getattr(store, what)(name)
                found.append(seen(result) if what == "past" else result)
        assert found[1:] == found[:1] * 2 or not found
    stores[2].close()


def test_memory_is_bounded_by_bytes_too() -> None:
    store = InMemory(1000, 5000)
    for number in range(100):
        store.put(response(f"r{number}"), past("x" * 1000))
    kept = [number for number in range(100) if store.response(f"r{number}")]
    assert kept == [96, 97, 98, 99]
    store.put(response("huge"), past("x" * 10_000))
    assert store.response("huge") is None
    assert store.response("r99") is None  # what is older goes before what is larger


def test_a_file_outlives_the_server(tmp_path: Path) -> None:
    store = InFile(tmp_path / "responses.db", LIMIT)
    store.put(response("r1", "i1"), past("Łódź\x00"))
    store.close()
    store = InFile(tmp_path / "responses.db", LIMIT)
    assert store.response("r1") == response("r1", "i1")
    assert seen(store.past("r1")) == seen(past("Łódź\x00"))
    assert store.item("i1") == {"id": "i1", "type": "message", "of": "r1"}
    store.close()


def test_a_file_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("no database " * 1000)
    with pytest.raises(HarmonyError, match=r"database: .*other"):
        InFile(tmp_path / "other", LIMIT)
    with pytest.raises(HarmonyError, match="nowhere"):
        InFile(tmp_path / "nowhere" / "file", LIMIT)


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_several_threads_may_ask_at_once(kind: str, tmp_path: Path) -> None:
    store = InMemory(50, 1 << 20) if kind == "memory" else InFile(tmp_path / "responses.db", 50)
    failed: list[BaseException] = []

    def ask(thread: int) -> None:
        try:
            for number in range(40):
                name = f"r{thread}-{number}"
                store.put(response(name, f"i{name}"), past(name))
                assert seen(store.past(name)) == seen(past(name))
                assert store.item(f"i{name}") is not None
                assert store.forget(name) or number < 0
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if isinstance(store, InFile):
        store.close()
    assert failed == []
