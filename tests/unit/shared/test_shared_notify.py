"""The notify protocol against a stand-in for the service manager's socket."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from shared.errors import Unavailable
from shared.lifecycle.notify import keep_watchdog, notify, watchdog_interval_s


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def heard(listener: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(listener.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_a_line_reaches_the_manager_also_on_an_abstract_socket(manager, monkeypatch):
    notify("READY=1\nSTATUS=serving nanoclaw")
    assert heard(manager) == ["READY=1\nSTATUS=serving nanoclaw"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
        abstract.bind(f"\0clawgate-test-{os.getpid()}")
        abstract.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@clawgate-test-{os.getpid()}")
        notify("STOPPING=1")
        assert heard(abstract) == ["STOPPING=1"]


def test_a_manager_that_went_away_is_no_reason_to_die_and_hears_us_when_it_is_back(manager):
    place = Path(manager.getsockname())
    manager.close()
    notify("READY=1")  # nobody listens at the socket
    place.unlink()
    notify("READY=1")  # there is none
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as back:
        back.bind(str(place))
        back.setblocking(False)
        notify("STATUS=here")
        assert heard(back) == ["STATUS=here"]


@pytest.mark.parametrize(
    ("usec", "pid", "interval"),
    [("60000000", "", 30.0), ("60000000", "own", 30.0), ("60000000", "1", None), ("", "", None), ("0", "", None)],
)
def test_half_of_what_the_manager_waits_for_and_only_when_it_means_us(monkeypatch, usec, pid, interval):
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert watchdog_interval_s() == interval


async def watched(manager, monkeypatch, check) -> list[str]:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    looks = 0

    async def counted():
        nonlocal looks
        looks += 1
        await check()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(keep_watchdog(counted))
        while looks < 3:
            await asyncio.sleep(0.005)
        task.cancel()
    return heard(manager)


async def test_a_process_that_is_well_says_so_again_and_again(manager, monkeypatch):
    async def well():
        return None

    messages = await watched(manager, monkeypatch, well)
    assert len(messages) >= 2
    assert set(messages) == {"WATCHDOG=1"}


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_a_process_whose_check_fails_or_hangs_is_silent(manager, monkeypatch, how):
    async def unwell():
        if how == "hangs":
            await asyncio.Event().wait()
        raise Unavailable("the database refused a write")

    assert await watched(manager, monkeypatch, unwell) == []


async def test_without_a_watchdog_it_ends_at_once(monkeypatch):
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)

    async def never():
        raise AssertionError

    await keep_watchdog(never)
