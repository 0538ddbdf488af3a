"""The private engine ends with its users, however they end. Needs root and dockerd, on folders of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.sandbox.engine import (
    PrivateEngineFolders,
    PrivateEngineUser,
    answers,
    can_start_private,
    find_engine,
    private_engine,
)
from shared.errors import Unavailable
from tests.support.missing import missing

pytestmark = pytest.mark.engine


@pytest.fixture
def folders() -> Iterator[PrivateEngineFolders]:
    if not can_start_private():
        missing("a private engine needs root and dockerd")
    token = secrets.token_hex(4)
    made = PrivateEngineFolders(Path(f"/var/tmp/cgw-engine-{token}"), Path(f"/run/cgw-engine-{token}"))
    yield made
    assert wait_for(lambda: traces(made) == [], limit_s=30), traces(made)
    shutil.rmtree(made.data, ignore_errors=True)
    shutil.rmtree(made.runtime, ignore_errors=True)


def wait_for(condition: Callable[[], bool], *, limit_s: float = 15) -> bool:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def traces(folders: PrivateEngineFolders) -> list[str]:
    """Processes, mounts and sockets that belong to an engine."""
    found = [str(path) for path in (folders.socket, folders.pid_file) if path.exists()]
    marks = (str(folders.data), str(folders.runtime))
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if any(mark in words for mark in marks):
            found.append(words)
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return found + [line for line in mounts if any(mark in line for mark in marks)]


async def test_users_share_one_engine_and_the_last_one_ends_it(folders) -> None:
    async with private_engine(folders) as first:
        daemon = folders.pid_file.read_text()
        async with private_engine(folders) as second:
            assert second == first
            assert folders.pid_file.read_text() == daemon
        assert answers(first.docker_host)
    assert traces(folders) == []


USER = """
import sys, time
from pathlib import Path
from gateway.sandbox.engine import PrivateEngineFolders, PrivateEngineUser
PrivateEngineUser(PrivateEngineFolders(Path(sys.argv[1]), Path(sys.argv[2]))).acquire()
print("ready", flush=True)
time.sleep(60)
"""


def a_user(folders: PrivateEngineFolders) -> subprocess.Popen[bytes]:
    user = subprocess.Popen(
        [sys.executable, "-c", USER, str(folders.data), str(folders.runtime)], stdout=subprocess.PIPE
    )
    assert user.stdout is not None
    assert user.stdout.readline() == b"ready\n"
    return user


def kill(user: subprocess.Popen[bytes]) -> None:
    user.send_signal(signal.SIGKILL)
    user.communicate()


def test_an_engine_whose_only_user_was_killed_ends_by_itself(folders) -> None:
    kill(a_user(folders))
    assert wait_for(lambda: traces(folders) == [])


def test_a_killed_user_does_not_take_the_engine_from_another(folders) -> None:
    other = PrivateEngineUser(folders)
    user = a_user(folders)
    other.acquire()
    kill(user)
    time.sleep(0.5)
    assert answers(folders.docker_host)
    other.release()
    assert traces(folders) == []


def test_an_engine_that_lost_its_keeper_is_taken_over(folders) -> None:
    user = PrivateEngineUser(folders)
    user.acquire()
    daemon = folders.pid_file.read_text()
    os.kill(int((folders.runtime / "keeper.lock").read_text()), signal.SIGKILL)
    other = PrivateEngineUser(folders)
    assert wait_for(lambda: answers(folders.docker_host))
    other.acquire()
    assert folders.pid_file.read_text() == daemon
    user.release()
    assert answers(folders.docker_host)
    other.release()
    assert traces(folders) == []


def test_an_engine_that_was_killed_leaves_nothing_and_starts_anew(folders) -> None:
    user = PrivateEngineUser(folders)
    user.acquire()
    os.kill(int(folders.pid_file.read_text()), signal.SIGKILL)
    assert wait_for(lambda: traces(folders) == [])
    again = PrivateEngineUser(folders)
    again.acquire()
    assert answers(folders.docker_host)
    user.release()
    assert answers(folders.docker_host)
    again.release()


def test_an_engine_that_does_not_come_up_shows_the_end_of_its_log(folders) -> None:
    folders.data.mkdir(parents=True)
    (folders.data / "image").write_text("not a folder")
    with pytest.raises(Unavailable, match=r"did not come up(.|\n)*not a directory"):
        PrivateEngineUser(folders).acquire()


def test_an_engine_named_on_the_command_line_is_the_only_one_tried() -> None:
    with pytest.raises(Unavailable, match="--docker-host"):
        find_engine("unix:///nowhere/docker.sock")


def test_a_command_runs_with_an_engine_and_its_exit_code_comes_back(docker_host) -> None:
    words = [sys.executable, "-m", "gateway.sandbox.engine", "run", "--", "sh", "-c", 'test -n "$DOCKER_HOST"; exit 7']
    assert subprocess.run(words, check=False).returncode == 7
