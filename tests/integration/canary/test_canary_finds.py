"""The canary suite can fail: a secret that is planted where none may be is found, in every place that is searched."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from shared.errors import Unavailable
from tests.support.canary import NOBODY, Hunt, chain, proc_as_another_user
from tests.support.missing import require_root

SECRET = "sk-ant-oat01-CANARY/with+odd=signs"
HUNT = Hunt(["another-secret", SECRET])

WAITER = f"""
import os, sys
from shared.lifecycle.harden import _PR_SET_DUMPABLE, _prctl, make_undumpable
if sys.argv[1] != "ours":
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
    # Becoming another user clears the flag; an ordinary process of that user has it.
    _prctl(_PR_SET_DUMPABLE, 1)
    if sys.argv[1] == "hide":
        make_undumpable()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    "leak",
    [
        SECRET,
        f"before {SECRET} after",
        f"https://h.example/?t={quote(SECRET, safe='')}",
        json.dumps({"t": SECRET}),
        base64.b64encode(f"user:{SECRET}".encode()).decode(),
        base64.b64encode(f"u:{SECRET}!".encode()).decode(),
        base64.urlsafe_b64encode(f"us:{SECRET}".encode()).decode(),
    ],
    ids=["raw", "amid", "address", "json", "base64", "base64-1", "base64-2"],
)
def test_a_leak_is_found_in_every_spelling(leak: str) -> None:
    assert HUNT.hits("here", leak) == ["here: sk-ant-oat01…"]
    assert HUNT.in_texts(["nothing", leak]) == ["text 1: sk-ant-oat01…"]


def test_what_is_not_planted_is_not_found() -> None:
    assert HUNT.in_texts(["", "sk-ant-oat01-CANARY", base64.b64encode(b"anything else").decode()]) == []


def test_a_leak_in_a_file_is_found_unless_the_place_may_hold_it(tmp_path: Path) -> None:
    allowed = tmp_path / "gateway" / "vault"
    for place in ("nanoclaw/logs/a.log", "openclaw/sessions/s.jsonl", "gateway/vault/x", f"data/{SECRET[:12]}"):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff" + SECRET.encode())
    found = HUNT.in_files(tmp_path, allowed=[allowed])
    assert [hit.partition(":")[0] for hit in found] == [
        "data/sk-ant-oat01",
        "nanoclaw/logs/a.log",
        "openclaw/sessions/s.jsonl",
    ]
    (tmp_path / "another-secret").touch()
    everything = [tmp_path / place for place in ("data", "nanoclaw", "openclaw", "gateway")]
    assert HUNT.in_files(tmp_path, allowed=everything) == ["name of another-secret: another-secr…"]


@pytest.mark.parametrize("hidden", [False, True], ids=["cause", "hidden context"])
def test_a_leak_in_an_exceptions_chain_is_found(hidden: bool) -> None:
    def failing() -> None:
        try:
            json.loads(f'{{"token": "{SECRET}"')
        except ValueError as error:
            if hidden:
                raise Unavailable("no answer") from None
            raise Unavailable("no answer") from error

    with pytest.raises(Unavailable) as caught:
        failing()
    assert len(list(chain(caught.value))) == 2
    assert HUNT.in_error(caught.value) == ["JSONDecodeError: sk-ant-oat01…"]
    assert HUNT.in_error(ExceptionGroup("several", [caught.value, OSError(SECRET)])) != []
    assert HUNT.in_error(Unavailable("no answer")) == []
    assert HUNT.in_error(Unavailable(SECRET)) == ["Unavailable: sk-ant-oat01…"]


@contextmanager
def waiting(*argv: str, **environment: str) -> Iterator[int]:
    """A process that waits; ``show`` and ``hide`` make it one of another user, readable by that user or not."""
    child = subprocess.Popen(
        [sys.executable, "-c", WAITER, *argv],
        env={"PATH": os.environ["PATH"], **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout.readline() == b"ready\n"
        yield child.pid
    finally:
        child.stdin.close()
        child.wait(20)
        child.stdout.close()


def test_a_leak_on_a_command_line_is_found_by_another_user() -> None:
    require_root("become another user")
    with waiting("ours", SECRET) as pid:
        view = proc_as_another_user([pid])
    assert view.uid == NOBODY
    assert HUNT.in_proc(view) == [f"{pid}/cmdline: sk-ant-oat01…"]
    assert {f"{pid}/environ", f"{pid}/fd", f"{pid}/mem", f"{pid}/maps"} <= view.denied


@pytest.mark.parametrize("how", ["show", "hide"])
def test_a_leak_in_an_environment_is_found_by_its_own_user_unless_the_process_is_undumpable(how: str) -> None:
    require_root("become another user")
    with waiting(how, TOKEN=SECRET) as pid:
        view = proc_as_another_user([pid])
    found = HUNT.in_proc(view)
    assert (f"{pid}/environ: sk-ant-oat01…" in found) is (how == "show")
    assert (f"{pid}/mem" in view.denied) is (how == "hide")
