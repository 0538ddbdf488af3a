"""Supervised processes: readiness, exit codes, restarts and keys, with real child processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.supervisor.child import Child, ChildSpec
from shared.errors import ExitCode
from shared.secrets.files import Secret
from shared.testing.waiting import until

READY = (
    "import os,socket,sys,time\n"
    "s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.sendto(b'READY=1',os.environ['NOTIFY_SOCKET'])\n"
)


@asynccontextmanager
async def running(spec: ChildSpec, runtime: Path):
    child = Child(spec, runtime)
    async with asyncio.TaskGroup() as group:
        group.create_task(child.run())
        yield child
        await child.stop()


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code, *arguments]


async def test_child_is_ready_when_it_says_so_and_ends_on_request(tmp_path: Path) -> None:
    async with running(ChildSpec("a", python(READY + "time.sleep(60)")), tmp_path) as child:
        assert await child.wait_ready(10)
        pid = child.status.pid
        assert pid
        await child.stop()
        assert child.status.pid is None or not Path(f"/proc/{pid}").exists()
    assert child.status.state == "stopped"


async def test_crashed_child_is_started_again(tmp_path: Path) -> None:
    async with running(ChildSpec("a", python(READY + "time.sleep(60)")), tmp_path) as child:
        assert await child.wait_ready(10)
        first = child.status.pid
        assert first
        os.kill(first, signal.SIGKILL)
        await until(lambda: child.status.state == "ready" and child.status.pid != first)
        assert child.status.restarts == 1
        assert child.status.last_exit is None


async def test_restart_on_request_starts_again_also_after_a_clean_end(tmp_path: Path) -> None:
    polite = "import signal,sys\nsignal.signal(signal.SIGTERM,lambda *_:sys.exit(0))\n" + READY + "time.sleep(60)"
    async with running(ChildSpec("a", python(polite)), tmp_path) as child:
        assert await child.wait_ready(10)
        first = child.status.pid
        await child.restart()
        await until(lambda: child.status.state == "ready" and child.status.pid != first)
        await child.stop()
    assert child.status.state == "stopped"


async def test_exit_codes_that_need_a_person_are_not_restarted(tmp_path: Path) -> None:
    for code in (ExitCode.AUTH, ExitCode.CONFIG):
        child = Child(ChildSpec("a", python(f"raise SystemExit({int(code)})")), tmp_path)
        await asyncio.wait_for(child.run(), 10)
        assert child.status.state == "failed"
        assert child.status.restarts == 0
        assert str(int(code)) in child.status.reason


async def test_clean_end_is_an_end(tmp_path: Path) -> None:
    child = Child(ChildSpec("a", python("pass")), tmp_path)
    await asyncio.wait_for(child.run(), 10)
    assert child.status.state == "stopped"


async def test_child_that_wants_a_restart_gets_it_at_once(tmp_path: Path) -> None:
    code = (
        "import os,sys\np,code=sys.argv[1:]\nif not os.path.exists(p):\n    open(p,'w').close(); sys.exit(int(code))\n"
    )
    child = Child(ChildSpec("a", python(code, str(tmp_path / "seen"), str(int(ExitCode.RESTART)))), tmp_path)
    await asyncio.wait_for(child.run(), 5)
    assert (child.status.restarts, child.status.state) == (1, "stopped")


async def test_child_that_ignores_the_polite_request_is_killed(tmp_path: Path) -> None:
    code = (
        READY.replace("import os", "import signal;signal.signal(signal.SIGTERM,signal.SIG_IGN)\nimport os")
        + "time.sleep(60)"
    )
    async with running(ChildSpec("a", python(code), stop_grace_s=0.2), tmp_path) as child:
        assert await child.wait_ready(10)
        pid = child.status.pid
        await child.stop()
        assert not Path(f"/proc/{pid}").exists()


async def test_key_reaches_the_child_by_descriptor_only_and_anew_at_each_start(tmp_path: Path) -> None:
    made: list[str] = []

    async def issue() -> Secret:
        made.append(f"key-{len(made)}")
        return Secret(made[-1])

    out = tmp_path / "out"
    code = (
        "import os,sys\nfd=int(os.environ['CLAWGATE_TENANT_KEY_FD'])\nkey=os.read(fd,100).decode()\n"
        "leaked=any(key in v for v in os.environ.values()) or key in open('/proc/self/cmdline').read()\n"
        "open(sys.argv[1],'a').write(f'{key} {leaked}\\n')\n"
        "sys.exit(0 if key.endswith('1') else 26)"
    )
    child = Child(ChildSpec("a", python(code, str(out)), before_start=issue), tmp_path)
    await asyncio.wait_for(child.run(), 10)
    assert out.read_text() == "key-0 False\nkey-1 False\n"


async def test_child_sees_only_harmless_names_of_our_environment(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY_FALLBACK", "canary")
    monkeypatch.setenv("DISCORD_BOT_TOKEN", "canary")
    out = tmp_path / "out"
    child = Child(
        ChildSpec("a", python("import os,sys;open(sys.argv[1],'w').write(repr(dict(os.environ)))", str(out))), tmp_path
    )
    await asyncio.wait_for(child.run(), 10)
    assert "canary" not in out.read_text()
    assert "NOTIFY_SOCKET" in out.read_text()
