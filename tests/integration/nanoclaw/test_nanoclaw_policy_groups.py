"""Groups of the policy file at a start: whatever valid change the operator made there, the tenant starts and obeys."""

from __future__ import annotations

import pytest
from nanoclaw_standins import ScriptedGateway, a_message, a_policy, a_tenant

from nanoclaw import intake
from nanoclaw.groups import Group
from tests.support.log_capture import heard_from


def policy(**chats: str):
    groups = {folder: {"chat": chat, "requires_trigger": False} for folder, chat in chats.items()}
    return a_policy(groups=groups, chats={"register": "explicit"})


async def start(tmp_path, **chats: str) -> dict[str, str]:
    """Start once with a policy; returns the groups in memory, which are those stored."""
    async with a_tenant(tmp_path, ScriptedGateway(), policy(**chats)) as (tenant, _):
        found = {group.folder: group.chat for group in tenant.registry}
        assert {group.folder: group.chat for group in await tenant.store.groups()} == found
        return found


@pytest.mark.parametrize(
    "then",
    [
        {"lab": "dc:2", "den": "dc:1"},
        {"lab": "dc:2", "den": "dc:3", "attic": "dc:1"},
        {"den": "dc:1"},
        {"attic": "dc:1", "den": "dc:2"},
    ],
    ids=["swapped", "moved round", "given to another", "renamed"],
)
async def test_chats_of_the_policy_file_may_change_places(tmp_path, then):
    first = {"lab": "dc:1", "den": "dc:2"}
    assert await start(tmp_path, **first) == first
    kept = {folder: chat for folder, chat in first.items() if folder not in then and chat not in then.values()}
    assert await start(tmp_path, **then) == then | kept


async def test_a_chat_that_the_operator_registered_goes_to_the_group_that_the_file_names(tmp_path, monkeypatch):
    logs = heard_from(intake, monkeypatch)
    async with a_tenant(tmp_path, ScriptedGateway(), policy()) as (tenant, _):
        await tenant.intake.register(Group("attic", "dc:7", "Attic", added_by="operator"))
        await tenant.intake.register(Group("cellar", "dc:8", "Cellar", added_by="operator"))
        notes = tenant.paths.group("nanoclaw", "attic") / "notes.md"
        notes.write_text("kept")
        await tenant.inbox.append(a_message("still waiting", chat="dc:7"))
    async with a_tenant(tmp_path, ScriptedGateway(), policy(lab="dc:7")) as (tenant, channel):
        await channel.says(lambda texts: texts == ["echo: still waiting"], chat="dc:7")
        assert {group.folder: group.chat for group in tenant.registry} == {"lab": "dc:7", "cellar": "dc:8"}
        assert notes.read_text() == "kept"
    [said] = [line for line in logs if line["event"] == "group.superseded"]
    assert (said["group"], said["chat"], said["file_says"]) == ("attic", "dc:7", "dc:7 is of lab")
