"""Paused and standby workers, users, mounts, logs and skills: the real command line in a real container."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.workers.docker_engine import DockerEngine
from gateway.workers.mounts import MountRoot, MountsPolicy
from gateway.workers.spec import Mount
from shared.errors import Conflict
from tests.support.missing import require_root
from tests.support.worker_house import POLICY, House, a_house

pytestmark = pytest.mark.engine


def state_of(house: House, container: str) -> str:
    return house.docker("inspect", "--format", "{{.State.Status}}", container)


@pytest.fixture(scope="module")
def image(docker_host) -> str:
    """This checkout's image by content, whatever the common name points to at the moment."""
    from gateway.workers.image.build import ensure_image

    return ensure_image(docker_host).tag


async def test_a_standby_agent_is_ready_and_frozen_and_answers_when_its_run_begins(docker_host, tmp_path) -> None:
    async with a_house(tmp_path, docker_host) as house:
        worker = await house.lease("main", standby=True)
        await house.initialise(worker)
        await house.pool.pause("nanoclaw", worker.worker_id)
        assert state_of(house, worker.container) == "paused"
        (info,) = house.pool.list()
        assert (info.state, info.standby) == ("paused", True)
        assert 40 < info.memory_mb < 600
        began = time.monotonic()
        await house.pool.mark_busy("nanoclaw", worker.worker_id, "run_1")
        assert await house.ask(worker, "hello") == "echo 1: hello"
        print(f"standby: claim to first model request {(house.endpoints.calls[0].at - began) * 1000:.0f} ms")
        await house.pool.mark_idle("nanoclaw", worker.worker_id)
        await house.pool.pause("nanoclaw", worker.worker_id)
        began = time.monotonic()
        await house.pool.mark_busy("nanoclaw", worker.worker_id, "run_2")
        assert await house.ask(worker, "again") == "echo 2: again"
        print(f"paused: claim to first model request {(house.endpoints.calls[1].at - began) * 1000:.0f} ms")


async def test_a_new_gateway_takes_a_paused_agent_over_and_leaves_it_paused(docker_host, tmp_path) -> None:
    async with a_house(tmp_path, docker_host) as house:
        worker = await house.lease("main")
        assert await house.ask(worker, "first") == "echo 1: first"
        await house.pool.pause("nanoclaw", worker.worker_id)
        ahead = await house.lease("other", standby=True)
        await house.initialise(ahead)
        await house.pool.pause("nanoclaw", ahead.worker_id)
        engine = DockerEngine(docker_host)
        (container,) = await engine.find({"clawgate.worker": worker.worker_id})
        with pytest.raises(Conflict):
            await engine.attach(container.id)  # which is why it has to be let go on for a moment
        await engine.close()
        await house.drop()
        await house.open()
        async with asyncio.timeout(10):
            while {w.state for w in house.pool.list()} != {"paused"}:
                await asyncio.sleep(0.02)
        assert {w.group: w.standby for w in house.pool.list()} == {"main": False, "other": True}
        assert {state_of(house, w.container) for w in (worker, ahead)} == {"paused"}
        await house.pool.mark_busy("nanoclaw", worker.worker_id, "run_1")
        assert await house.ask(worker, "second") == "echo 2: second"
        assert await house.ask(ahead, "hello") == "echo 1: hello"  # input wakes it too


async def test_a_paused_agent_can_be_stopped_by_us_and_by_hand(docker_host, tmp_path) -> None:
    async with a_house(tmp_path, docker_host, POLICY.model_copy(update={"max_workers": 1})) as house:
        first = await house.lease("one")
        await house.initialise(first)
        await house.pool.pause("nanoclaw", first.worker_id)
        began = time.monotonic()
        second = await house.lease("two")
        assert time.monotonic() - began < POLICY.stop_grace_s, "it was not waited for until the grace was over"
        assert (await house.the_end(first)).reason == "evicted"
        await house.initialise(second)
        await house.pool.pause("nanoclaw", second.worker_id)
        await asyncio.to_thread(house.docker, "stop", second.container)
        assert (await house.the_end(second)).reason == "stopped"


def as_user(uid: int, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, user=uid, group=uid, extra_groups=[], capture_output=True, text=True, check=False)


@pytest.fixture
def passable() -> Iterator[Path]:
    """A folder that other users can pass through; pytest's own are closed."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


async def test_tenant_and_agent_share_files_without_opening_them_to_anybody(docker_host, passable) -> None:
    require_root("act as two other users")
    tenant, stranger = 1001, 1002
    async with a_house(passable, docker_host) as house:
        group = house.paths.group("nanoclaw", "main")
        root_left = group / "made-by-root.txt"
        group.mkdir(parents=True)
        group.chmod(0o750)
        root_left.write_text("from the time when everything ran as root")
        os.chown(group.parent, tenant, tenant)
        worker = await house.lease("main", user=tenant)
        script = (
            "umask; echo agent > made.txt; mkdir -p deep/er; echo x > deep/er/f; echo more >> made-by-root.txt; id -u"
        )
        answer = await house.ask(worker, f"run: {script}")
        assert str(tenant) in answer, answer
        made = group / "made.txt"
        assert as_user(tenant, "cat", str(made)).stdout == "agent\n"
        assert "more" in root_left.read_text()
        assert as_user(tenant, "sh", "-c", f"echo tenant > {group}/tenant.txt").returncode == 0
        assert "tenant" in await house.ask(worker, "run: cat tenant.txt && rm tenant.txt && echo gone")
        assert not (group / "tenant.txt").exists()
        assert as_user(tenant, "rm", "-r", str(made), f"{group}/deep", str(root_left)).returncode == 0
        for path in (group, house.paths.group_session("nanoclaw", "main"), house.paths.group_logs("nanoclaw", "main")):
            assert as_user(stranger, "ls", str(path)).returncode != 0
            assert path.stat().st_mode & 0o027 == 0, oct(path.stat().st_mode)
        assert as_user(tenant, "ls", str(house.paths.group_logs("nanoclaw", "main"))).stdout.startswith("container-")


async def test_an_agent_reads_its_logs_and_cannot_forge_them_and_sees_the_mounts_it_was_given(
    docker_host, tmp_path
) -> None:
    shared = tmp_path / "srv"
    for name in ("notes", "work", ".ssh"):
        (shared / name).mkdir(parents=True)
        (shared / name).chmod(0o777)
    (shared / "notes" / "recipe.txt").write_text("two eggs")
    policy = MountsPolicy(
        roots=(MountRoot(path=str(shared / "notes")), MountRoot(path=str(shared / "work"), read_write=True))
    )
    mounts = [
        {"host": str(shared / "notes"), "name": "notes", "read_only": False},
        {"host": str(shared / "work"), "name": "work", "read_only": False},
        {"host": str(shared / ".ssh"), "name": "keys"},
    ]
    async with a_house(tmp_path, docker_host, mounts=policy) as house:
        main = await house.lease("main", mounts=mounts)
        assert [note.split(":")[0].split(" (")[0] for note in main.notes] == ["extra mount notes", "extra mount keys"]
        script = (
            "(echo forged > logs/container-x.log; rm -rf logs; mv logs old; ln -s /tmp logs) 2>/dev/null;"
            " cat logs/*.log | head -3; cat /workspace/extra/notes/recipe.txt; echo;"
            " touch /workspace/extra/notes/x 2>&1; touch /workspace/extra/work/x && echo wrote;"
            " ls /workspace/extra; echo remember > /workspace/global/CLAUDE.md && echo global-written"
        )
        said = await house.ask(main, f"run: {script}")
        assert "group: main" in said
        assert "two eggs" in said
        assert "Read-only file system" in said
        assert "wrote" in said
        assert "keys" not in said
        assert "global-written" in said
        assert (shared / "work" / "x").exists()
        logs = house.paths.group_logs("nanoclaw", "main")
        assert [path.name for path in logs.iterdir() if "container-x" in path.name] == []
        assert not logs.is_symlink()
        other = await house.lease("other", mounts=mounts)
        said = await house.ask(
            other,
            "run: cat /workspace/global/CLAUDE.md; (echo x >> /workspace/global/CLAUDE.md) 2>&1;"
            " touch /workspace/extra/work/y 2>&1; ls /workspace/extra",
        )
        assert "remember" in said
        assert said.count("Read-only file system") == 2
        assert (house.paths.group("nanoclaw", "global") / "CLAUDE.md").read_text() == "remember\n"


async def skills_of(house: House, group: str) -> list[str]:
    worker = await house.lease(group)
    await house.say(worker, "hello")
    init = await house.message(worker, "system")
    assert init["subtype"] == "init"
    await house.result(worker)
    return list(init["skills"])


async def test_the_agent_knows_the_images_skills_and_its_debug_log_is_where_the_policy_says(
    docker_host, tmp_path, image
) -> None:
    async with a_house(tmp_path, docker_host, POLICY.model_copy(update={"image": image})) as house:
        assert "workspace" in await skills_of(house, "main")
        (worker,) = house.pool.list()
        log = house.docker("exec", worker.container, "cat", "/home/node/.claude/debug/latest")
        assert "[DEBUG]" in log
        said = await house.ask(worker, "run: touch /etc/claude-code/x /etc/claude-code/.claude/skills/y 2>&1")
        assert said.count("Read-only file system") == 2


async def test_in_development_mode_an_edited_skill_reaches_the_next_worker_without_a_build(
    docker_host, tmp_path, image
) -> None:
    skills = tmp_path / "skills"
    (skills / "fresh").mkdir(parents=True)
    (skills / "fresh" / "SKILL.md").write_text("---\nname: fresh\ndescription: only in the checkout\n---\n")
    development = (Mount(skills, "/etc/claude-code/.claude/skills", read_only=True),)
    policy = POLICY.model_copy(update={"image": image})
    async with a_house(tmp_path, docker_host, policy, development=development) as house:
        found = await skills_of(house, "main")
        assert "fresh" in found
        assert "workspace" not in found


async def test_the_image_says_what_it_was_made_of(docker_host, image) -> None:
    facts = json.loads(
        subprocess.run(
            ["docker", "-H", docker_host, "image", "inspect", image], check=True, capture_output=True, text=True
        ).stdout
    )[0]
    assert facts["Config"]["Labels"]["clawgate.context"] == image.split(":")[1]
    environment = dict(pair.split("=", 1) for pair in facts["Config"]["Env"])
    assert (environment["TZ"], environment["HOME"]) == ("Asia/Seoul", "/home/node")
    assert Path(environment["CLAUDE_CONFIG_DIR"]) == Path("/home/node/.claude")
