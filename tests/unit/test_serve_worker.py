"""The queue and its threads: in turn, within the room there is, and nothing heard of what was cancelled."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from harmony_py.engines import Drawn
from harmony_py.serve.errors import ServeError
from harmony_py.serve.runners import Asked
from harmony_py.serve.worker import Arrival, Job, Started, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator


class Counts:
    """A runner that draws 0, 1, 2 ... up to as many as the prompt's first number says, within some room."""

    context = None
    masks = logprobs = True

    def __init__(self, slots: int = 2, room: int = 100) -> None:
        self.slots, self.room = slots, room
        self.under_way: dict[Any, list[int]] = {}
        self.most = 0
        self.order: list[int] = []
        self.fails = False
        self.gate = threading.Event()
        self.gate.set()

    def takes(self, asked: Asked) -> bool:
        return not self.under_way or sum(n for _, n in self.under_way.values()) + asked.ids[0] <= self.room

    def start(self, key: Any, asked: Asked) -> None:
        if asked.ids[0] == 13:
            raise ValueError("thirteen")
        self.order.append(asked.ids[0])
        self.under_way[key] = [0, asked.ids[0]]
        self.most = max(self.most, len(self.under_way))

    def step(self) -> Iterator[tuple[Any, Any]]:
        assert self.gate.wait(10)
        if self.fails:
            self.fails = False
            raise OSError("the engine")
        for key, (count, most) in list(self.under_way.items()):
            if count + 1 == most:
                del self.under_way[key]
            else:
                self.under_way[key][0] += 1
            yield key, Drawn(count, "stop" if count + 1 == most else None)

    def stop(self, key: Any) -> None:
        self.under_way.pop(key, None)

    def reused(self, key: Any) -> int:
        return 7


class Told:
    """What comes of a job."""

    def __init__(self, count: int) -> None:
        self.news: list[Any] = []
        self.over = asyncio.Event()
        self.job = Job(Asked([count], {}), self.hear)

    def hear(self, news: Started | Arrival) -> None:
        self.news.append(news)
        if isinstance(news, Arrival) and news.is_last:
            self.over.set()

    @property
    def tokens(self) -> list[int]:
        return [news.outcome.token for news in self.news if isinstance(news, Arrival)]


def working(
    runners: list[Counts], body: Callable[[Workers], Coroutine[Any, Any, None]], waiting: int = 99
) -> None:
    async def run() -> None:
        workers = Workers(runners, asyncio.get_running_loop(), waiting=waiting)
        try:
            await asyncio.wait_for(body(workers), 20)
        finally:
            workers.close()
        assert not any(runner.under_way for runner in runners)

    asyncio.run(run())


def test_everything_comes_in_order_within_the_slots() -> None:
    runner = Counts(slots=3)

    async def body(workers: Workers) -> None:
        told = [Told(count) for count in (5, 1, 7, 3, 2)]
        workers.submit([each.job for each in told])
        for each, count in zip(told, (5, 1, 7, 3, 2), strict=True):
            await each.over.wait()
            assert each.tokens == list(range(count))
            assert isinstance(each.news[0], Started)
            assert [news.reused for news in each.news[1:]] == [7, *[0] * (count - 1)]
        assert (workers.waiting, workers.running) == (0, 0)

    working([runner], body)
    assert runner.most == 3
    assert runner.order == [5, 1, 7, 3, 2]


def test_what_there_is_no_room_for_keeps_its_place() -> None:
    runner = Counts(slots=9, room=10)

    async def body(workers: Workers) -> None:
        told = [Told(count) for count in (6, 8, 2, 50)]
        workers.submit([each.job for each in told])
        for each in told:
            await each.over.wait()

    working([runner], body)
    assert runner.order == [6, 8, 2, 50]
    assert runner.most == 2


def test_all_are_taken_or_none() -> None:
    runner = Counts(slots=1)
    runner.gate.clear()

    async def body(workers: Workers) -> None:
        first = Told(3)
        workers.submit([first.job])
        while not workers.running:
            await asyncio.sleep(0.001)
        told = [Told(2) for _ in range(3)]
        workers.submit([told[0].job])
        with pytest.raises(ServeError) as caught:
            workers.submit([told[1].job, told[2].job])
        assert caught.value.status == 429
        assert workers.waiting == 1
        runner.gate.set()
        await told[0].over.wait()
        assert told[1].news == []

    working([runner], body, waiting=2)


@pytest.mark.parametrize("begun", [False, True])
def test_nothing_is_heard_of_what_was_cancelled(begun: bool) -> None:
    runner = Counts(slots=1)
    runner.gate.clear()

    async def body(workers: Workers) -> None:
        first, second = Told(1000), Told(4)
        workers.submit([first.job, second.job])
        while not workers.running:
            await asyncio.sleep(0.001)
        gone, stays = (first, second) if begun else (second, first)
        workers.cancel(gone.job)
        runner.gate.set()
        await stays.over.wait()
        assert gone.tokens == []
        assert workers.running == 0

    working([runner], body)


def test_what_goes_wrong_with_one_is_told_to_one() -> None:
    async def body(workers: Workers) -> None:
        wrong, right = Told(13), Told(3)
        workers.submit([wrong.job, right.job])
        await right.over.wait()
        assert isinstance(wrong.news[-1].outcome, ValueError)
        assert right.tokens == [0, 1, 2]

    working([Counts()], body)


def test_an_engine_that_fails_fails_all_and_goes_on() -> None:
    runner = Counts(slots=2)

    async def body(workers: Workers) -> None:
        told = [Told(5), Told(5)]
        runner.gate.clear()
        workers.submit([each.job for each in told])
        runner.fails = True
        runner.gate.set()
        for each in told:
            await each.over.wait()
            assert isinstance(each.news[-1].outcome, OSError)
        after = Told(2)
        workers.submit([after.job])
        await after.over.wait()
        assert after.tokens == [0, 1]
        assert workers.alive

    working([runner], body)


def test_several_runners_work_side_by_side() -> None:
    runners = [Counts(slots=1), Counts(slots=1)]
    for runner in runners:
        runner.gate.clear()

    async def body(workers: Workers) -> None:
        told = [Told(3), Told(3)]
        workers.submit([each.job for each in told])
        while workers.running < 2:
            await asyncio.sleep(0.001)
        for runner in runners:
            runner.gate.set()
        for each in told:
            await each.over.wait()

    working(runners, body)
    assert [runner.order for runner in runners] == [[3], [3]]
