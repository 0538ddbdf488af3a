"""Files an agent hands over: only its own, as they are at that moment, once."""

from __future__ import annotations

import os

import pytest
from nanoclaw_standins import ScriptedGateway, a_message, a_policy, a_tenant

from tests.support.missing import require_root

GROUPS = {"main": {"chat": "dc:1", "main": True}, "lab": {"chat": "dc:2", "requires_trigger": False}}
LARGE = 10 * 1024 * 1024


def policy():
    return a_policy(groups=GROUPS)


async def send(tenant, **arguments) -> str:
    answer = await tenant.tools.call("lab", "send_file", arguments)
    return ("refused: " if answer["is_error"] else "") + answer["content"][0]["text"]


def files_of(channel, chat="dc:2"):
    return [(channel.sent[chat][number], channel.sent_files[number]) for number in channel.sent.get(chat, {})]


async def test_a_file_goes_to_the_chat_with_its_caption(tmp_path):
    async with a_tenant(tmp_path, ScriptedGateway(), policy()) as (tenant, channel):
        folder = tenant.paths.group("nanoclaw", "lab")
        (folder / "out").mkdir()
        (folder / "out" / "report.txt").write_text("figures")
        said = await send(tenant, path="/workspace/group/out/report.txt", caption="Here <internal>x</internal>")
        await channel.says(lambda texts: len(texts) == 1, chat="dc:2")
        assert said == "sent report.txt (7 bytes)"
        assert files_of(channel) == [("Here", [("report.txt", b"figures")])]
        assert await send(tenant, path="out/report.txt", name="q1.txt") == "sent q1.txt (7 bytes)"
        await channel.says(lambda texts: len(texts) == 2, chat="dc:2")
        assert files_of(channel)[1] == ("", [("q1.txt", b"figures")])


def make_link(folder, outside):
    (folder / "x").symlink_to(outside)


def make_folder_link(folder, outside):
    (folder / "d").symlink_to(outside.parent)


def make_pipe(folder, outside):
    os.mkfifo(folder / "x")


def make_folder(folder, outside):
    (folder / "x").mkdir()


def make_large(folder, outside):
    with (folder / "x").open("wb") as file:
        file.truncate(LARGE + 1)


def make_nothing(folder, outside):
    pass


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (make_link, "x"),
        (make_folder_link, "d/secret"),
        (make_pipe, "x"),
        (make_folder, "x"),
        (make_large, "x"),
        (make_nothing, "x"),
        (make_nothing, "../main/CLAUDE.md"),
        (make_nothing, "/workspace/group/../main/CLAUDE.md"),
        (make_nothing, "/etc/passwd"),
        (make_nothing, "CLAUDE.md/x"),
        (make_nothing, "x" * 300),
    ],
)
async def test_what_is_not_a_file_of_its_own_is_refused_in_words(tmp_path, make, path):
    async with a_tenant(tmp_path, ScriptedGateway(), policy()) as (tenant, _):
        outside = tmp_path / "outside" / "secret"
        outside.parent.mkdir()
        outside.write_text("secret")
        make(tenant.paths.group("nanoclaw", "lab"), outside)
        said = await send(tenant, path=path)
        assert said.startswith("refused: ")
        assert "our own" not in said
        assert str(tmp_path) not in said
        assert await tenant.outbox.counts() == {}


async def test_a_device_is_refused(tmp_path):
    require_root("make a device")
    async with a_tenant(tmp_path, ScriptedGateway(), policy()) as (tenant, _):
        try:
            os.mknod(tenant.paths.group("nanoclaw", "lab") / "x", 0o020666, os.makedev(1, 5))
        except PermissionError:
            pytest.skip("this machine lets nobody make a device")
        assert (await send(tenant, path="x")).startswith("refused: ")


async def test_a_repeated_run_does_not_send_a_file_twice_even_when_it_is_gone(tmp_path):
    tries = []

    async def reply(worker, asked, prompt_uuid):
        tries.append(1)
        await worker.hello()
        said = await worker.say_through("send_file", {"path": "a.txt"})
        if len(tries) == 1:
            (tenant.paths.group("nanoclaw", "lab") / "a.txt").unlink()
            worker.end(1, "crashed")
            return
        worker.result(f"heard: {said}", prompt_uuid)

    async with a_tenant(tmp_path, ScriptedGateway(reply=reply), policy()) as (tenant, channel):
        (tenant.paths.group("nanoclaw", "lab") / "a.txt").write_text("x")
        await channel.handlers.on_message(a_message("go", chat="dc:2"))
        texts = await channel.says(lambda texts: "".join(texts[-1:]).startswith("heard"), chat="dc:2")
        sent = [files for _, files in files_of(channel) if files]
    assert texts[-1] == "heard: a.txt was sent before this run was repeated"
    assert sent == [[("a.txt", b"x")]]
