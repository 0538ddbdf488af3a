"""The real command line in a real container, driven through the pool."""

from __future__ import annotations

import asyncio
import json
import os
import uuid

import pytest

from gateway.modelproxy.worker_requests import is_harmless_beta, worker_request
from tests.support.worker_house import POLICY, a_house

pytestmark = pytest.mark.engine

CANARY = "canary-7f3a9c-of-the-host"


async def test_the_agent_answers_and_a_follow_up_reaches_the_same_live_session(docker_host, tmp_path) -> None:
    async with a_house(tmp_path, docker_host) as house:
        worker = await house.lease("main")
        assert worker.container.startswith("nanoclaw-main-")
        assert await house.ask(worker, "hello") == "echo 1: hello"
        again = await house.lease("main")
        assert (again.worker_id, again.reused) == (worker.worker_id, True)
        assert await house.ask(again, "and again") == "echo 2: and again"
        call = house.endpoints.calls[0]
        assert (call.worker_id, call.headers["authorization"]) == (worker.worker_id, "Bearer placeholder")
        for call in house.endpoints.calls:
            # What the gateway lets a worker ask for is all that the command line asks for.
            assert json.loads(worker_request(call.body)) == call.body
            assert all(is_harmless_beta(name) for name in call.headers["anthropic-beta"].split(","))


async def test_the_container_holds_no_power_and_no_secret(docker_host, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CLAWGATE_TEST_CANARY", CANARY)
    script = (
        "id -u; grep -E '^Cap(Eff|Prm|Bnd)|^NoNewPrivs|^Seccomp:' /proc/self/status; ls /sys/class/net;"
        " touch /probe 2>&1; touch /usr/probe 2>&1; touch /run/clawgate/probe 2>&1;"
        " touch /tmp/ok /home/node/ok /workspace/group/ok && echo writable;"
        " ls -la /var/run/docker.sock /run/docker.sock 2>&1; ls /run/clawgate;"
        " cat /proc/1/environ /proc/*/environ 2>/dev/null | tr '\\0' '\\n';"
        " cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null;"
        " cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; date +%Z; chmod 777 /etc 2>&1;"
        " ulimit -f; truncate -s 3G /workspace/group/film 2>&1"
    )
    async with a_house(tmp_path, docker_host) as house:
        worker = await house.lease("main")
        await house.ask(worker, f"run: ({script}) > /workspace/group/report; echo done")
        report = (house.paths.group("nanoclaw", "main") / "report").read_text()
        lines = report.splitlines()
        assert lines[0] == str(os.getuid() or POLICY.uid_when_root)
        assert "lo" in lines
        assert not any(name.startswith(("eth", "veth", "docker")) for name in lines)
        for name in ("CapEff", "CapPrm", "CapBnd"):
            assert f"{name}:\t0000000000000000" in lines
        assert "NoNewPrivs:\t1" in lines
        assert "Seccomp:\t2" in lines
        assert report.count("Read-only file system") >= 3
        assert "writable" in lines
        assert report.count("docker.sock': No such file") == 2
        assert str(POLICY.memory_mb * 1024 * 1024) in lines
        assert str(POLICY.pids) in lines
        assert "KST" in lines
        assert str(POLICY.group_disk_mb * 1024) in lines, "no file outgrows the group's budget"
        assert (house.paths.group("nanoclaw", "main") / "film").stat().st_size == 0
        assert CANARY not in report
        facts = json.loads(house.docker("inspect", worker.container))[0]
        assert facts["HostConfig"]["NetworkMode"] == "none"
        assert CANARY not in json.dumps(facts)
        for folder in (house.paths.group("nanoclaw", "main"), house.paths.group_session("nanoclaw", "main")):
            assert folder.stat().st_mode & 0o007 == 0


async def test_a_new_gateway_adopts_the_live_agent_with_its_history(docker_host, tmp_path) -> None:
    async with a_house(tmp_path, docker_host) as house:
        worker = await house.lease("main")
        await house.pool.mark_busy("nanoclaw", worker.worker_id, "run_1")
        assert await house.ask(worker, "first") == "echo 1: first"
        house.endpoints.delay_s = 0.5
        await house.say(worker, "second")
        await asyncio.sleep(0.2)
        await house.drop()
        await house.open()
        (adopted,) = house.pool.list()
        assert (adopted.worker_id, adopted.state, adopted.run_id) == (worker.worker_id, "busy", "run_1")
        # the model's answer was cut by the restart; the command line asks again through the new socket
        assert await house.result(worker) == "echo 2: second"
        house.endpoints.delay_s = 0.0
        assert await house.ask(worker, "third") == "echo 3: third"
        assert (await house.lease("main")).reused


async def test_a_turn_that_ended_while_no_gateway_was_there_is_not_lost(docker_host, tmp_path) -> None:
    async with a_house(tmp_path, docker_host) as house:
        worker = await house.lease("main")
        assert await house.ask(worker, "first") == "echo 1: first"
        await house.say(worker, "run: sleep 1; echo woke")
        while len(house.endpoints.calls) < 2:
            await asyncio.sleep(0.02)
        await house.pool.stop()
        await house.engine.close()
        await asyncio.sleep(1.5)  # the sockets still answer: the turn ends with nobody attached
        await house.endpoints.close_all()
        await house.open()
        assert (await house.result(worker)).startswith("ran: woke")
        assert await house.ask(worker, "more") == "echo 3: more"


async def test_a_session_goes_on_in_a_new_container(docker_host, tmp_path) -> None:
    async with a_house(tmp_path, docker_host) as house:
        worker = await house.lease("main")
        assert await house.ask(worker, "first") == "echo 1: first"
        await house.pool.end("nanoclaw", worker.worker_id)
        later = await house.lease("main", resume=True)
        assert (later.reused, later.worker_id != worker.worker_id) == (False, True)
        assert await house.ask(later, "second") == "echo 2: second"


async def test_an_unknown_session_ends_the_worker_with_a_reason(docker_host, tmp_path) -> None:
    async with a_house(tmp_path, docker_host) as house:
        worker = await house.lease("main", session=str(uuid.uuid4()), resume=True)
        end = await house.the_end(worker)
        assert (end.code, end.reason) == (1, "crashed")
        assert "No conversation found" in end.text


async def test_a_killed_agent_is_reported_and_leaves_nothing(docker_host, tmp_path) -> None:
    async with a_house(tmp_path, docker_host) as house:
        worker = await house.lease("main")
        await house.ask(worker, "hello")
        await house.say(worker, "run: kill -9 $PPID")
        end = await house.the_end(worker)
        assert (end.code, end.reason) == (137, "crashed")
        assert house.pool.list() == []
        while house.docker("ps", "-aq", "--filter", f"label=clawgate.instance={house.instance}"):
            await asyncio.sleep(0.05)
        while house.paths.worker_dir(worker.worker_id).exists():
            await asyncio.sleep(0.05)


async def test_at_the_limit_the_idle_worker_makes_room(docker_host, tmp_path) -> None:
    async with a_house(tmp_path, docker_host, POLICY.model_copy(update={"max_workers": 1})) as house:
        first = await house.lease("one")
        second = await house.lease("two")
        assert (await house.the_end(first)).reason == "evicted"
        assert await house.ask(second, "hello") == "echo 1: hello"


async def test_an_idle_worker_ends_by_itself(docker_host, tmp_path) -> None:
    async with a_house(tmp_path, docker_host, POLICY.model_copy(update={"idle_timeout_s": 1.0})) as house:
        worker = await house.lease("main")
        assert (await house.the_end(worker)).reason == "idle"


async def test_the_operators_own_docker_lines_keep_working(docker_host, tmp_path) -> None:
    async with a_house(tmp_path, docker_host) as house:
        worker = await house.lease("main")
        names = house.docker("ps", "--filter", "name=nanoclaw-", "--format", "{{.Names}}").splitlines()
        assert worker.container in names
        assert house.docker("exec", worker.container, "id", "-u") == str(os.getuid() or POLICY.uid_when_root)
        await asyncio.to_thread(house.docker, "stop", worker.container)
        assert (await house.the_end(worker)).reason == "stopped"
        assert await house.ask(await house.lease("main", resume=False), "hello") == "echo 1: hello"


async def test_workers_of_another_installation_are_left_alone(docker_host, tmp_path) -> None:
    async with a_house(tmp_path / "a", docker_host) as ours, a_house(tmp_path / "b", docker_host) as theirs:
        worker = await theirs.lease("main")
        await ours.drop()
        await ours.open()
        assert ours.pool.list() == []
        assert await theirs.ask(worker, "still there?") == "echo 1: still there?"
