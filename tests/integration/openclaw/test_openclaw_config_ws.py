"""Configuration of a running gateway: methods, two administrators, and edits of the file behind its back."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from dataclasses import replace

import pytest
from openclaw_house import house
from openclaw_rig import running_rig

from openclaw.config import OpenClawPolicy
from openclaw.config.effective import Ceiling
from openclaw.config.sections.base import REDACTED
from openclaw.config.service import ConfigService
from openclaw.config.snapshot import Source
from shared.errors import ExitCode, GatewayError
from shared.execpolicy.policy import ExecPolicy
from shared.lifecycle.tasks import TaskPool
from shared.openclawclient.client import RequestRefused
from shared.testing.waiting import until


async def refused(work):
    with pytest.raises(RequestRefused) as caught:
        await work
    return caught.value


async def test_get_set_and_the_guard_of_the_hash(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as first, rig.ui() as second:
        found = await first.request("config.get")
        assert (found["exists"], found["valid"], found["raw"]) == (False, True, "{}\n")
        raw = "{ // kept\n gateway: {auth: {token: 'literal-secret'}}, channels: {discord: {dmPolicy: 'disabled'}}}"
        answer = await first.request("config.set", {"raw": raw, "baseHash": found["hash"]})
        assert answer["ok"] is True
        assert answer["path"] == str(tmp_path / "openclaw.json")
        assert (tmp_path / "openclaw.json").read_text() == raw
        assert rig.gateway.services.policy.discord.dm_policy == "disabled"

        error = await refused(second.request("config.set", {"raw": "{}", "baseHash": found["hash"]}))
        assert "config changed since last load; re-run config.get and retry" in str(error)
        error = await refused(second.request("config.set", {"raw": "{}"}))
        assert "config base hash required; re-run config.get and retry" in str(error)

        found = await second.request("config.get")
        assert "literal-secret" not in json.dumps(found)
        assert found["parsed"]["gateway"]["auth"]["token"] == REDACTED
        assert "// kept" in found["raw"]
        await second.request(
            "config.set", {"raw": found["raw"].replace("disabled", "pairing"), "baseHash": found["hash"]}
        )
        kept = json.loads((tmp_path / "openclaw.json").read_text())
        assert kept["gateway"]["auth"]["token"] == "literal-secret"
        assert kept["channels"]["discord"]["dmPolicy"] == "pairing"

        found = await second.request("config.get")
        error = await refused(second.request("config.set", {"raw": "{gateway: {bogus: 1}}", "baseHash": found["hash"]}))
        assert "invalid config" in str(error)
        assert error.details["issues"][0]["path"] == "gateway"
        audit = (tmp_path / "logs/config-audit.jsonl").read_text()
        assert "literal-secret" not in audit
        assert json.loads(audit.splitlines()[0])["how"] == "config.set"


async def test_of_two_administrators_at_once_one_wins_and_the_other_is_told(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as one, rig.ui() as two:
        base = (await one.request("config.get"))["hash"]
        await one.request("config.set", {"raw": "{}", "baseHash": base})
        base = (await one.request("config.get"))["hash"]
        asked = [
            client.request("config.set", {"raw": f"{{session: {{idleMinutes: {n}}}}}", "baseHash": base})
            for n, client in ((1, one), (2, two))
        ]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        failed = [answer for answer in answers if isinstance(answer, Exception)]
        assert len(failed) == 1
        assert "config changed since last load" in str(failed[0])


async def test_patch_merges_and_writes_are_rationed(tmp_path):
    (tmp_path / "openclaw.json").write_text('{"agents": {"list": [{"id": "main", "name": "a"}]}, "meta": {}}')
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        base = (await ui.request("config.get"))["hash"]
        patch = '{meta: null, agents: {list: [{id: "main", identity: {name: "Claw"}}]}}'
        answer = await ui.request("config.patch", {"raw": patch, "baseHash": base, "note": "why", "sessionKey": "main"})
        kept = json.loads((tmp_path / "openclaw.json").read_text())
        assert kept["agents"] == {"list": [{"id": "main", "name": "a", "identity": {"name": "Claw"}}]}
        assert kept["meta"].keys() == {"lastTouchedVersion", "lastTouchedAt"}
        assert answer["restart"]["mode"] == "hot"
        assert answer["sentinel"]["payload"]["message"] == "why"
        assert rig.gateway.services.policy.agent.name == "Claw"
        error = await refused(ui.request("config.patch", {"raw": "[]", "baseHash": await _hash(ui)}))
        assert "config.patch raw must be an object" in str(error)
        await ui.request("config.apply", {"raw": "{}", "baseHash": await _hash(ui)})
        error = await refused(ui.request("config.apply", {"raw": "{}", "baseHash": await _hash(ui)}))
        assert "rate limit exceeded for config.apply; retry after" in str(error)
        assert error.details == {"method": "config.apply", "limit": "3 per 60s"}


async def _hash(client):
    return (await client.request("config.get"))["hash"]


async def test_a_form_that_sends_back_what_it_was_told_changes_nothing(tmp_path):
    text = """{channels: {discord: {guilds: {'1': {users: ['7']}}}}, gateway: {auth: {token: 'secret-text'}}}"""
    (tmp_path / "openclaw.json").write_text(text)
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        before = rig.gateway.services.config.current
        found = await ui.request("config.get")
        assert {row["path"] for row in found["effective"]} > {"gateway.port", "channels.discord.guilds"}
        await ui.request("config.set", {"raw": json.dumps(found["config"]), "baseHash": found["hash"]})
        after = rig.gateway.services.config.current
        assert after.policy == before.policy
        model = found["config"]["agents"]["defaults"]["model"]
        assert model["primary"] == before.policy.agent.model


async def test_schema_is_what_a_form_needs(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        found = await ui.request("config.schema")
        assert found["schema"]["$schema"].startswith("http://json-schema.org/draft-07")
        assert found["uiHints"]["channels.discord.dmPolicy"]["help"]
        assert found["version"]
        assert found["generatedAt"]


async def test_an_edit_is_taken_up_and_a_bad_one_waits(tmp_path):
    file = tmp_path / "openclaw.json"
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        services = rig.gateway.services
        file.write_text(
            "{channels: {discord: {dmPolicy: 'disabled'}}, gateway: {controlUi: {allowedOrigins: ['https://new.example']}}}"
        )
        await until(lambda: services.policy.discord.dm_policy == "disabled")
        events = ui.events()
        file.write_text("{channels: {discord: {\n dmPolcy: 'open'}}}")
        await until(lambda: services.config.pending)
        assert services.policy.discord.dm_policy == "disabled", "the last good one stays"
        health = await ui.request("health")
        assert health["config"]["state"] == "pending-invalid"
        assert (health["config"]["issues"][0]["line"], health["config"]["issues"][0]["path"]) == (2, "channels.discord")
        assert (await ui.request("status"))["config"]["state"] == "pending-invalid"
        found = await ui.request("config.get")
        assert (found["valid"], found["raw"], found["config"]) == (False, file.read_text(), {})
        assert found["issues"][0]["path"] == "channels.discord"
        async with asyncio.timeout(5):
            async for event in events:
                if event.name == "health" and event.payload["config"]["state"] == "pending-invalid":
                    break
        file.write_text("{channels: {discord: {dmPolicy: 'allowlist', allowFrom: ['7']}}}")
        await until(lambda: not services.config.pending)
        assert services.policy.discord.allow_from == ("7",)


async def test_a_change_that_needs_it_ends_the_process_with_the_code_that_starts_it_again(paths):
    source = Source.fixed(paths.tenant("openclaw"), OpenClawPolicy.model_validate({"port": 0}))
    config = ConfigService(source)
    config.load()
    async with house(paths, config.current.policy, config=config) as home:
        source.path.write_text("{agents: {defaults: {timeoutSeconds: 30}}}")
        await until(lambda: home.tenant.policy.agent.timeout_s == 30)
        assert not home.tenant.stop_requested.is_set()
        status = await home.control("status")
        assert status["config"]["state"] == "ok"
        source.path.write_text("{gateway: {port: 1}, agents: {defaults: {timeoutSeconds: 30}}}")
        async with asyncio.timeout(10):
            assert await home.tenant.wait() == ExitCode.RESTART


async def test_hot_mode_says_what_waits_for_a_restart(paths):
    source = Source.fixed(paths.tenant("openclaw"), OpenClawPolicy.model_validate({"port": 0}))
    source.path.parent.mkdir(parents=True)
    source.path.write_text("{gateway: {reload: {mode: 'hot'}}}")
    config = ConfigService(source)
    config.load()
    async with house(paths, config.current.policy, config=config) as home:
        source.path.write_text("{gateway: {reload: {mode: 'hot'}, port: 1}}")
        await until(lambda: config.waits_for_restart)
        assert not home.tenant.stop_requested.is_set()
        assert (await home.control("status"))["config"]["waitsForRestart"] == ["openclaw.port"]


async def test_a_start_refuses_an_invalid_file(tmp_path):
    (tmp_path / "openclaw.json").write_text("{bridge: {}}")
    with pytest.raises(GatewayError, match=r"openclaw\.json:1: bridge: Unrecognized key"):
        async with running_rig(tmp_path):
            pass


async def test_what_changes_while_it_is_read_is_taken_up_next(tmp_path):
    file = tmp_path / "openclaw.json"
    file.write_text("{}")
    late = ["{agents: {defaults: {timeoutSeconds: 22}}}"]

    def ceiling():
        if file.read_text() != "{}" and late:
            file.write_text(late.pop())  # after the file was read, before anybody looks again
        return Ceiling(OpenClawPolicy(), ExecPolicy())

    config = ConfigService(replace(Source.fixed(tmp_path, OpenClawPolicy()), ceiling=ceiling))
    config.load()
    watching = TaskPool("test")
    watching.start(config.run())
    await asyncio.sleep(0)
    file.write_text("{agents: {defaults: {timeoutSeconds: 11}}}")
    await until(lambda: config.current.policy.agent.timeout_s == 22)
    await watching.close()


async def test_who_may_only_read_is_not_shown_a_file_that_is_not_valid(tmp_path):
    file = tmp_path / "openclaw.json"
    async with running_rig(tmp_path) as rig, rig.client(scopes=("operator.read",)) as reader:
        file.write_text("{channels: {discord: {dmPolcy: 'open'}}}")
        await until(lambda: rig.gateway.services.config.pending)
        found = await reader.request("config.get")
    assert found["raw"] is None
    assert "lastValid" not in found


async def test_a_file_that_is_not_valid_is_mended_with_its_secrets_hidden(tmp_path):
    file = tmp_path / "openclaw.json"
    text = """{ // mine
      gateway: {auth: {token: "first-secret", tokn: "misspelt-secret"}, prot: 4711},
      channels: {discord: {dmPolcy: "open"}}}"""
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        file.write_text(text)
        await until(lambda: rig.gateway.services.config.pending)
        found = await ui.request("config.get")
        assert not any(word in json.dumps(found) for word in ("first-secret", "misspelt-secret", "4711"))
        file.write_text(text.replace("prot: 4711", "port: '18789x'"))
        found = await ui.request("config.get")
        assert not any(word in json.dumps(found) for word in ("first-secret", "misspelt-secret"))
        assert "// mine" in found["raw"]
        assert 'dmPolcy: "open"' in found["raw"]
        assert "port: '18789x'" in found["raw"]
        mended = found["raw"].replace("dmPolcy", "dmPolicy").replace("'18789x'", "18789").replace("open", "disabled")
        mended = mended.replace(f', tokn: "{REDACTED}"', "")
        await ui.request("config.set", {"raw": mended, "baseHash": found["hash"]})
        assert rig.gateway.services.policy.discord.dm_policy == "disabled"
        assert json.loads(file.read_text())["gateway"] == {"auth": {"token": "first-secret"}, "port": 18789}


async def test_from_a_text_that_cannot_be_read_the_last_valid_one_leads_back(tmp_path):
    file = tmp_path / "openclaw.json"
    file.write_text("{gateway: {auth: {token: 'first-secret'}}, channels: {discord: {dmPolicy: 'disabled'}}}")
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        file.write_text("{gateway: {auth: {token: 'first-secret}, channels: {discord: {dmPolicy: 'open'}}}")
        await until(lambda: rig.gateway.services.config.pending)
        found = await ui.request("config.get")
        assert found["raw"] is None
        assert "first-secret" not in json.dumps(found)
        raw = found["lastValid"]["raw"].replace("disabled", "pairing")
        await ui.request("config.set", {"raw": raw, "baseHash": found["hash"]})
        kept = json.loads(file.read_text())
        assert kept["gateway"]["auth"]["token"] == "first-secret"
        assert kept["channels"]["discord"]["dmPolicy"] == "pairing"
        assert (tmp_path / "openclaw.json.bak").exists(), "what was broken is kept as well"


async def test_edits_in_a_row_are_one_restart(tmp_path):
    source = Source.fixed(tmp_path, OpenClawPolicy.model_validate({"port": 0}))
    asked = []
    service = ConfigService(source, restart=asked.append, restart_cooldown_s=0.4)
    service.load()
    for limit in (2, 3, 4):
        source.path.write_text(
            f"{{cron: {{maxConcurrentRuns: {limit}}}, agents: {{defaults: {{maxConcurrent: {limit}}}}}}}"
        )
        await service.refresh()
    assert asked == []
    assert service.state()["state"] == "pending-restart"
    await until(lambda: asked)
    await asyncio.sleep(0.1)
    assert len(asked) == 1
    await service.close()


async def test_a_full_disk_is_said_and_the_old_file_stays_in_force(tmp_path, monkeypatch):
    file = tmp_path / "openclaw.json"
    file.write_text("{channels: {discord: {dmPolicy: 'disabled'}}}")
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        asked = {"raw": "{channels: {discord: {dmPolicy: 'pairing'}}}", "baseHash": await _hash(ui)}

        def full(_descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            error = await refused(ui.request("config.set", asked))
        assert error.wire_code == "UNAVAILABLE"
        assert "No space left on device" in str(error)
        assert "'disabled'" in file.read_text()
        assert rig.gateway.services.policy.discord.dm_policy == "disabled"
        await ui.request("config.set", asked)
        assert rig.gateway.services.policy.discord.dm_policy == "pairing"
