"""The doctor's word about this machine's clock, by the ``Date`` that upstreams answer with."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from email.utils import format_datetime

import pytest

from gateway.doctor.world import upstream_rows
from gateway.settings import Settings
from shared.clock import SYSTEM_CLOCK
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from tests.support.offline_settings import write_offline_settings

UPSTREAMS = ("discord", "claude", "codex", "github")
NO_DATE = None


async def an_upstream(stack, ahead_s):
    """A server whose clock is ahead of ours by so many seconds, or that tells no time; returns its address."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        date = "some day"
        if ahead_s is not NO_DATE:
            date = format_datetime(SYSTEM_CLOCK.now() + timedelta(seconds=ahead_s), usegmt=True)
        writer.write(f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    await stack.enter_async_context(server)
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def clock_rows(folder, *ahead_s):
    """The doctor's rows about the clock, when upstreams tell these times."""
    paths = Paths(folder / "s", folder / "r")
    write_offline_settings(paths)
    async with AsyncExitStack() as stack:
        told = zip(UPSTREAMS, ahead_s, strict=True)
        places = {name: {"api_base": await an_upstream(stack, ahead)} for name, ahead in told}
        overlay_file(operator_file("upstreams", paths), places)
        rows = await upstream_rows(Settings.load(paths))
    assert [row.level for row in rows if row.id.startswith("upstream.")] == ["ok"] * len(UPSTREAMS)
    return [(row.level, row.detail) for row in rows if row.id == "clock"]


@pytest.mark.parametrize(
    "ahead_s",
    [
        pytest.param((0, 20, -20, 0), id="all about right"),
        pytest.param((0, 0, 900, 0), id="one wrong upstream"),
        pytest.param((-900, 0, -900, 0), id="half of them behind, half agree with us"),
        pytest.param((900, 0, 900, 0), id="half of them ahead, half agree with us"),
        pytest.param((0, NO_DATE, NO_DATE, NO_DATE), id="only one tells the time"),
    ],
)
async def test_a_clock_that_upstreams_do_not_contradict_is_well(tmp_path, ahead_s):
    assert [level for level, _ in await clock_rows(tmp_path, *ahead_s)] == ["ok"]


@pytest.mark.parametrize(("ahead_s", "word"), [(300, "behind"), (-300, "ahead of")])
async def test_a_clock_that_is_off_is_a_warning_that_says_by_how_much(tmp_path, ahead_s, word):
    ((level, detail),) = await clock_rows(tmp_path, ahead_s, ahead_s, ahead_s, 0)
    assert level == "warn"
    assert detail.endswith(f"{word} its upstreams'")
    assert any(f"{near} s" in detail for near in (299, 300, 301, 302))


async def test_without_a_usable_date_nothing_is_said_about_the_clock(tmp_path):
    assert await clock_rows(tmp_path, *[NO_DATE] * 4) == []
