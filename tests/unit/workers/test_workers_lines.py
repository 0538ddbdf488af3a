import asyncio

from gateway.workers.lines import Line, LineRing
from shared.gatewayclient.models import WorkerEvent

EXIT = WorkerEvent(event="exit", code=0)


async def nothing_older(first: int, last: int) -> list[Line]:
    return []


async def collect(ring: LineRing, after: int, older=nothing_older) -> list[Line | WorkerEvent]:
    return [item async for item in ring.follow(after, older)]


def ring_of(count: int, *, limit: int = 10_000) -> LineRing:
    ring = LineRing(limit)
    for number in range(1, count + 1):
        ring.append(b"line %d" % number)
    return ring


async def test_a_reader_gets_what_follows_the_line_it_names() -> None:
    ring = ring_of(5)
    ring.add_event(EXIT)
    assert await collect(ring, 3) == [(4, b"line 4"), (5, b"line 5"), EXIT]
    assert await collect(ring, 5) == [EXIT]


async def test_memory_is_bounded_and_the_log_serves_slow_readers() -> None:
    ring = ring_of(100, limit=50)
    ring.add_event(EXIT)

    async def older(first: int, last: int) -> list[Line]:
        return [(n, b"line %d" % n) for n in range(first, last + 1)]

    assert len(ring.newest_lines(1000)) < 10
    items = await collect(ring, 0, older)
    assert [item[0] for item in items if isinstance(item, tuple)] == list(range(1, 101))
    assert items[-1] == EXIT


async def test_a_log_that_does_not_reach_back_leaves_a_gap_that_numbers_show() -> None:
    ring = ring_of(100, limit=50)
    ring.add_event(EXIT)
    numbers = [item[0] for item in await collect(ring, 0) if isinstance(item, tuple)]
    assert numbers == list(range(ring.oldest, 101))


async def test_lines_reach_a_waiting_reader_and_standard_error_keeps_its_place() -> None:
    ring = LineRing(1000)
    reading = asyncio.get_running_loop().create_task(collect(ring, 0))
    await asyncio.sleep(0)
    complaint = WorkerEvent(event="stderr", text="hm")
    ring.append(b"a")
    await asyncio.sleep(0)
    ring.add_event(complaint)
    ring.append(b"b")
    ring.add_event(EXIT)
    assert await reading == [(1, b"a"), complaint, (2, b"b"), EXIT]


async def test_standard_error_is_not_repeated_to_a_reader_that_comes_back() -> None:
    ring = LineRing(1000)
    ring.add_event(WorkerEvent(event="stderr", text="old"))
    ring.append(b"a")
    ring.add_event(EXIT)
    assert await collect(ring, 1) == [EXIT]


async def test_a_reader_that_the_ring_outruns_between_two_lines_misses_nothing() -> None:
    ring = ring_of(3, limit=40)
    seen: list[int] = []

    async def older(first: int, last: int) -> list[Line]:
        return [(n, b"line %d" % n) for n in range(first, last + 1)]

    async for item in ring.follow(0, older):
        if isinstance(item, WorkerEvent):
            break
        seen.append(item[0])
        if item[0] == 2:
            for number in range(4, 41):
                ring.append(b"line %d" % number)
            ring.add_event(EXIT)
    assert seen == list(range(1, 41))


async def test_a_log_that_is_a_moment_behind_is_waited_for() -> None:
    ring = ring_of(100, limit=50)
    ring.add_event(EXIT)
    written = [30, 30, 60, 100]

    async def older(first: int, last: int) -> list[Line]:
        upto = min(last, written.pop(0) if len(written) > 1 else written[0])
        return [(n, b"line %d" % n) for n in range(first, upto + 1)]

    items = await collect(ring, 0, older)
    assert [item[0] for item in items if isinstance(item, tuple)] == list(range(1, 101))
