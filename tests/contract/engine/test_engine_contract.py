"""What both engines promise; the real one and the fallback run the same tests."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.workers.docker_engine import DockerEngine
from gateway.workers.engine import Attachment, Container, Engine
from gateway.workers.frames import STDOUT
from gateway.workers.process_engine import ProcessEngine
from gateway.workers.spec import ContainerSpec
from shared.errors import Conflict, NotFound, Unavailable
from tests.support.engine import shell_spec

KINDS = [pytest.param("docker", marks=pytest.mark.engine), "process"]


@asynccontextmanager
async def an_engine(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    engine: Engine
    if kind == "docker":
        engine = DockerEngine(request.getfixturevalue("docker_host"))
    else:
        engine = ProcessEngine(tmp_path / "processes", cli=Path("/bin/sh"))
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def started(engine: Engine, spec: ContainerSpec) -> AsyncIterator[tuple[Container, Attachment]]:
    container, attachment = await engine.start(spec, deadline_s=30)
    try:
        yield container, attachment
    finally:
        await attachment.close()
        await engine.remove(container.id)


def a_spec(tmp_path: Path, script: str) -> ContainerSpec:
    return shell_spec(tmp_path, script, instance=f"t{secrets.token_hex(4)}", worker_id=secrets.token_hex(8))


async def read_all(attachment: Attachment, stream: int = STDOUT) -> bytes:
    data = b""
    while frames := await attachment.read():
        data += b"".join(part for number, part in frames if number == stream)
    return data


async def read_until(attachment: Attachment, wanted: bytes) -> bytes:
    data = b""
    while wanted not in data:
        frames = await attachment.read()
        assert frames, f"ended after {data!r}"
        data += b"".join(part for number, part in frames if number == STDOUT)
    return data


@pytest.mark.parametrize("kind", KINDS)
async def test_output_from_the_first_byte_and_input_arrive(kind, request, tmp_path) -> None:
    async with (
        an_engine(kind, request, tmp_path) as engine,
        started(engine, a_spec(tmp_path, "echo early; while read line; do echo got $line; done")) as (_, attachment),
    ):
        await attachment.write(b"one\n")
        assert await read_until(attachment, b"got one\n") == b"early\ngot one\n"
        await attachment.write(b"two\n")
        assert await read_until(attachment, b"got two\n") == b"got two\n"


@pytest.mark.parametrize("kind", KINDS)
async def test_standard_error_is_kept_apart_and_the_exit_code_is_known(kind, request, tmp_path) -> None:
    async with (
        an_engine(kind, request, tmp_path) as engine,
        started(engine, a_spec(tmp_path, "echo fine; echo bad >&2; exit 3")) as (container, attachment),
    ):
        assert await read_all(attachment) == b"fine\n"
        ended = await engine.inspect(container.id)
        assert (ended.running, ended.exit_code) == (False, 3)
        assert "bad" in await engine.error_logs(container.id)
        assert await engine.logs(container.id) == b"fine\n"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_megabyte_line_arrives_whole(kind, request, tmp_path) -> None:
    script = "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end"
    async with (
        an_engine(kind, request, tmp_path) as engine,
        started(engine, a_spec(tmp_path, script)) as (container, attachment),
    ):
        expected = b"x" * 1_000_000 + b"\nend\n"
        assert await read_all(attachment) == expected
        assert await engine.logs(container.id) == expected


@pytest.mark.parametrize("kind", KINDS)
async def test_stop_asks_first_and_insists_after_the_grace(kind, request, tmp_path) -> None:
    polite = "trap 'exit 143' TERM; echo ready; while :; do sleep 0.05; done"
    deaf = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    async with an_engine(kind, request, tmp_path) as engine:
        for script, code in ((polite, 143), (deaf, 137)):
            async with started(engine, a_spec(tmp_path, script)) as (container, attachment):
                await read_until(attachment, b"ready\n")
                await engine.stop(container.id, grace_s=1)
                assert (await engine.inspect(container.id)).exit_code == code


@pytest.mark.parametrize("kind", KINDS)
async def test_ending_what_is_gone_is_success_and_asking_for_it_is_not(kind, request, tmp_path) -> None:
    async with an_engine(kind, request, tmp_path) as engine:
        async with started(engine, a_spec(tmp_path, "exit 0")) as (container, attachment):
            await read_all(attachment)
            await engine.stop(container.id, grace_s=1)
        await engine.remove(container.id)
        await engine.stop(container.id, grace_s=1)
        await engine.kill(container.id)
        with pytest.raises(NotFound):
            await engine.inspect(container.id)


@pytest.mark.parametrize("kind", KINDS)
async def test_containers_are_found_by_all_their_labels(kind, request, tmp_path) -> None:
    spec = a_spec(tmp_path, "cat")
    instance = {"clawgate.instance": spec.labels["clawgate.instance"]}
    async with an_engine(kind, request, tmp_path) as engine, started(engine, spec) as (container, _):
        assert [found.id for found in await engine.find(instance)] == [container.id]
        assert (await engine.find(instance))[0].labels["clawgate.group"] == "contract"
        assert await engine.find(instance | {"clawgate.tenant": "somebody-else"}) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_frozen_worker_answers_after_it_goes_on(kind, request, tmp_path) -> None:
    async with (
        an_engine(kind, request, tmp_path) as engine,
        started(engine, a_spec(tmp_path, "while read line; do echo got $line; done")) as (container, attachment),
    ):
        await engine.pause(container.id)
        await engine.pause(container.id)
        await attachment.write(b"late\n")
        await engine.unpause(container.id)
        await engine.unpause(container.id)
        assert await read_until(attachment, b"got late\n") == b"got late\n"


@pytest.mark.engine
async def test_a_container_survives_its_reader_and_can_be_joined_again(docker_host, tmp_path) -> None:
    first, second = DockerEngine(docker_host), DockerEngine(docker_host)
    async with started(first, a_spec(tmp_path, "while read line; do echo got $line; done")) as (container, attachment):
        await attachment.write(b"one\n")
        await read_until(attachment, b"got one\n")
        await attachment.close()
        again = await second.attach(container.id)
        await again.write(b"two\n")
        assert await read_until(again, b"got two\n") == b"got two\n"
        assert await second.logs(container.id) == b"got one\ngot two\n"
        await again.close()
    await first.close()
    await second.close()


@pytest.mark.engine
async def test_joining_a_paused_or_ended_container_is_refused(docker_host, tmp_path) -> None:
    engine = DockerEngine(docker_host)
    async with started(engine, a_spec(tmp_path, "cat")) as (container, _):
        await engine.pause(container.id)
        with pytest.raises(Conflict):
            await engine.attach(container.id)
    await engine.close()


@pytest.mark.engine
async def test_a_missing_image_names_the_command_that_builds_it(docker_host) -> None:
    engine = DockerEngine(docker_host)
    with pytest.raises(Unavailable, match="nanoclaw workers rebuild") as caught:
        await engine.image_id("clawgate-nothing:here")
    assert caught.value.code == "engine.image_missing"
    await engine.close()


async def test_an_engine_that_is_down_is_named_with_the_fix(tmp_path) -> None:
    engine = DockerEngine(f"unix://{tmp_path}/none.sock")
    with pytest.raises(Unavailable, match=r"engine down.*none\.sock.*systemctl start docker") as caught:
        await engine.info()
    assert caught.value.code == "engine.down"
    await engine.close()
