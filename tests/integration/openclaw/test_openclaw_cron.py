"""Cron with a real agent loop: what runs, what clients hear, what is posted, what a restart keeps."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta

import pytest
from openclaw_house import OWNER, house
from openclaw_rig import running_rig

from openclaw.config import OpenClawPolicy
from openclaw.cron.delivery import NoDelivery
from openclaw.cron.queries import RunQuery
from openclaw.cron.runner import CronRunner
from openclaw.transcript import text_message
from shared.clock import SYSTEM_CLOCK, FakeClock
from shared.gatewayclient.web import WebhookAnswer, WebhookRequest
from shared.openclawclient.client import RequestRefused

TURN = {"kind": "agentTurn", "message": "good morning"}
EVERY = {"kind": "every", "everyMs": 3_600_000}


def job(**more) -> dict:
    return {"name": "greet", "schedule": EVERY, "payload": TURN, **more}


def soon() -> dict:
    return {"kind": "at", "at": (SYSTEM_CLOCK.now() + timedelta(milliseconds=60)).isoformat()}


async def heard(events, action: str, **more) -> dict:
    wanted = {"action": action, **more}
    async with asyncio.timeout(10):
        async for event in events:
            payload = event.payload
            if event.name == "cron" and all(payload.get(key) == value for key, value in wanted.items()):
                return payload
    raise AssertionError("the socket closed before the event came")


async def finished(client, count: int = 1) -> list[dict]:
    async with asyncio.timeout(10):
        while len(found := (await client.request("cron.runs", {"scope": "all"}))["entries"]) < count:
            await asyncio.sleep(0.02)
    return found


async def test_a_job_runs_in_a_session_of_its_own_and_clients_hear_of_it(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        events = client.events()
        made = await client.request("cron.add", job(schedule=soon(), deleteAfterRun=False, delivery={"mode": "none"}))
        assert (await heard(events, "added"))["jobId"] == made["id"]
        await heard(events, "started", jobId=made["id"])
        done = await heard(events, "finished", status="ok")
        assert done["summary"].startswith("echo: ")
        assert done["deliveryStatus"] == "not-requested"
        (entry,) = (await client.request("cron.runs", {"id": made["id"]}))["entries"]
        assert (entry["status"], entry["jobName"]) == ("ok", "greet")
        key = f"agent:main:cron:{made['id']}"
        history = await client.request("chat.history", {"sessionKey": key})
        assert [message["role"] for message in history["messages"]] == ["user", "assistant"]
        listed = await client.request("cron.list", {"includeDisabled": True})
        assert listed["jobs"][0]["state"]["lastRunStatus"] == "ok"
        assert listed["jobs"][0]["enabled"] is False
        assert (await client.request("cron.status", {}))["nextWakeAtMs"] is None


async def test_each_isolated_run_begins_a_new_transcript(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        made = await client.request("cron.add", job(delivery={"mode": "none"}))
        for count in (1, 2):
            assert (await client.request("cron.run", {"id": made["id"]})) == {"ok": True, "ran": True}
            await finished(client, count)
        history = await client.request("chat.history", {"sessionKey": f"agent:main:cron:{made['id']}"})
        assert len(history["messages"]) == 2


async def test_a_system_event_is_a_turn_of_the_main_session(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        event = {"kind": "systemEvent", "text": "stand up"}
        made = await client.request("cron.add", job(payload=event))
        assert made["sessionTarget"] == "main"
        await client.request("cron.run", {"jobId": made["id"]})
        (entry,) = await finished(client)
        assert (entry["status"], entry["deliveryStatus"]) == ("ok", "not-delivered")
        history = await client.request("chat.history", {"sessionKey": "main"})
        said = history["messages"][0]["content"][0]["text"]
        assert "not written by a person" in said
        assert said.endswith("stand up")


async def test_methods_refuse_what_they_cannot_do(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        for method, params, says in (
            ("cron.add", {"name": "x"}, "required property 'schedule'"),
            ("cron.add", [], "must be object"),
            ("cron.update", {"patch": {"enabled": True}}, "required property 'id'"),
            ("cron.update", {"id": "nothing", "patch": {"enabled": True}}, "no job"),
            ("cron.run", {"id": "nothing"}, "no job"),
            ("cron.list", {"limit": 201}, "limit"),
            ("cron.runs", {"scope": "job"}, "required property 'id'"),
        ):
            with pytest.raises(RequestRefused, match=says):
                await client.request(method, params)
        assert await client.request("cron.remove", {"id": "nothing"}) == {"ok": True, "removed": False}


async def test_reading_is_enough_to_look_and_not_to_change(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client(scopes=("operator.read",)) as client:
        assert (await client.request("cron.list", {}))["jobs"] == []
        for method in ("cron.add", "cron.update", "cron.remove", "cron.run"):
            with pytest.raises(RequestRefused, match=r"missing scope: operator\.admin"):
                await client.request(method, {})


async def test_a_turn_that_takes_too_long_is_cut_and_is_an_error(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        slow = {"kind": "agentTurn", "message": "!hold", "timeoutSeconds": 0.1}
        made = await client.request("cron.add", job(payload=slow, delivery={"mode": "none"}))
        await client.request("cron.run", {"id": made["id"]})
        (entry,) = await finished(client)
        assert entry["status"] == "error"
        assert "longer than 0.1 s" in entry["error"]
        await asyncio.wait_for(rig.model.left.wait(), 5)  # the upstream was left, too


async def test_a_run_that_a_restart_cut_is_carried_out_once_by_the_next_process(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        held = {"kind": "agentTurn", "message": "!hold"}
        made = await client.request("cron.add", job(payload=held, delivery={"mode": "none"}))
        await client.request("cron.run", {"id": made["id"]})
        await asyncio.wait_for(rig.model.started.wait(), 5)
        assert await client.request("cron.run", {"id": made["id"]}) == {
            "ok": True, "ran": False, "reason": "already-running",
        }  # fmt: skip
    async with running_rig(tmp_path) as rig, rig.client() as client:
        rig.model.release.set()
        (entry,) = await finished(client)
        assert (entry["status"], entry["summary"]) == ("ok", "holding released")
        history = await client.request("chat.history", {"sessionKey": f"agent:main:cron:{made['id']}"})
        assert [message["role"] for message in history["messages"]] == ["user", "assistant"]


async def test_an_answer_is_announced_where_the_job_says_and_silence_is_not(paths):
    async with house(paths) as home:
        cron = home.gateway.services.cron
        made = await cron.add(job(delivery={"mode": "announce", "channel": "discord", "to": "channel:77"}))
        await cron.run(made.job_id)
        (text,) = await home.texts("dc:77", 1)
        assert text.startswith("echo: ")
        silent = {**TURN, "message": "!slow 0"}
        await cron.add(job(schedule=soon(), payload=silent, delivery={"mode": "announce", "to": "channel:78"}))
        entries = await entries_of(cron, 2)
        assert [entry["deliveryStatus"] for entry in entries] == [
            "not-requested",
            "delivered",
        ]  # nothing to say, nothing posted


async def entries_of(cron, count: int) -> list[dict]:
    async with asyncio.timeout(10):
        while len(found := (await cron.history(RunQuery()))["entries"]) < count:
            await asyncio.sleep(0.02)
    return found


async def test_a_reminder_reaches_the_person_whom_the_main_session_spoke_to_last(paths):
    policy = OpenClawPolicy.model_validate({"port": 0, "discord": {"dm_policy": "open"}})
    async with house(paths, policy) as home:
        await home.say_directly("hello", OWNER)
        await home.texts(f"dc:9{OWNER.id}", 1)
        cron = home.gateway.services.cron
        await cron.add(job(schedule=soon(), payload={"kind": "systemEvent", "text": "tea is ready"}))
        (entry,) = await entries_of(cron, 1)
        assert entry["deliveryStatus"] == "delivered"
        assert "tea is ready" in (await home.texts(f"dc:9{OWNER.id}", 2))[-1]


async def test_failures_are_told_once_and_again_when_they_disable_the_job(paths):
    policy = OpenClawPolicy.model_validate({"port": 0, "cron": {"max_errors": 3}})
    async with house(paths, policy) as home:
        cron = home.gateway.services.cron
        fails = {"kind": "agentTurn", "message": "!fail 400 all"}
        made = await cron.add(job(payload=fails, delivery={"mode": "announce", "to": "channel:7"}))
        for count in (1, 2, 3):
            await cron.run(made.job_id)
            await entries_of(cron, count)
        first, last = await home.texts("dc:7", 2)
        assert "“greet” failed" in first
        assert "disabled: it failed 3 times in a row" in last
        assert (await cron.find(made.job_id)).spec.enabled is False


async def test_the_agent_schedules_for_its_own_conversation_only(paths):
    policy = OpenClawPolicy.model_validate({"port": 0, "discord": {"dm_policy": "open"}})
    async with house(paths, policy) as home:
        other = await home.gateway.services.cron.add(job(name="the operator's"))
        chat = f"dc:9{OWNER.id}"

        async def tool(count: int, **arguments) -> str:
            call = json.dumps(arguments, separators=(",", ":"))
            await home.say_directly(f"!tool cron {call}", OWNER)
            return (await home.texts(chat, count))[-1].removeprefix("tool said: ")

        made = json.loads(await tool(1, action="add", job=job(name="mine")))
        assert made["delivery"] == {"mode": "announce", "channel": "discord", "to": f"channel:9{OWNER.id}"}
        listed = json.loads(await tool(2, action="list"))
        assert [found["name"] for found in listed["jobs"]] == ["mine"]
        assert "no job" in await tool(3, action="update", jobId=other.job_id, patch={"enabled": False})
        assert json.loads(await tool(4, action="remove", jobId=other.job_id)) == {"removed": False}
        assert "goes to this conversation" in await tool(
            5, action="add", job=job(delivery={"mode": "announce", "to": "channel:1"})
        )
        assert "goes to this conversation" in await tool(
            6, action="update", jobId=made["id"], patch={"delivery": {"mode": "webhook", "to": "https://example.org/"}}
        )
        assert "shortest allowed is 60 s" in await tool(
            7, action="add", job=job(schedule={"kind": "every", "everyMs": 5000})
        )
        assert json.loads(await tool(8, action="run", jobId=made["id"])) == {"ran": True}
        assert "echo: good morning" in await home.texts(chat, 9)


@pytest.mark.slow
async def test_the_command_line_adds_changes_runs_and_forgets_jobs(paths):
    async with house(paths) as home:

        async def cli(*arguments: str, fails: bool = False) -> str:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "openclaw.cli", "cron", *arguments),
                env={"CLAWGATE_STATE": str(paths.state), "CLAWGATE_RUNTIME": str(paths.runtime), "PATH": ""},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await asyncio.wait_for(process.communicate(), 15)
            assert (process.returncode != 0) == fails, err.decode()
            return (err if fails else out).decode()

        added = await cli(
            "add", "--name", "tea", "--cron", "0 9 * * *", "--tz", "Asia/Seoul", "--message", "hi", "--json"
        )
        job = json.loads(added)
        assert job["schedule"] == {"kind": "cron", "expr": "0 9 * * *", "tz": "Asia/Seoul"}
        assert "one of --message, --system-event" in await cli("add", "--name", "x", "--every", "5m", fails=True)
        assert "write a number and a unit" in await cli("edit", job["id"], "--every", "soon", fails=True)
        edited = json.loads(await cli("edit", job["id"], "--every", "2h", "--no-deliver", "--json"))
        assert (edited["schedule"], edited["delivery"]) == ({"kind": "every", "everyMs": 7_200_000}, {"mode": "none"})
        assert "disabled" in await cli("disable", job["id"])
        assert "tea" not in await cli("list")
        assert "disabled" in await cli("list", "--all")
        assert "Started" in await cli("run", job["id"])
        await entries_of(home.gateway.services.cron, 1)
        assert json.loads(await cli("runs", "--json"))["entries"][0]["status"] == "ok"
        assert "Removed" in await cli("rm", job["id"])
        assert "0 job(s)" in await cli("status")


class Hooks:
    """Stands where the gateway's way to web addresses is; answers with each status in turn."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.sent: list[WebhookRequest] = []

    async def send_webhook(self, request: WebhookRequest) -> WebhookAnswer:
        self.sent.append(request)
        return WebhookAnswer(status=self.statuses.pop(0))


async def test_a_webhook_is_told_with_one_key_until_it_takes_it(paths, monkeypatch):
    monkeypatch.setattr("openclaw.cron.runner._FIRST_WAIT_S", 0.01)
    hooks = Hooks(503, 429, 204, 404)
    async with house(paths, webhooks=hooks) as home:
        cron = home.gateway.services.cron
        delivery = {"mode": "webhook", "to": "https://hooks.example.org/x"}
        made = await cron.add(job(delivery=delivery))
        await cron.run(made.job_id)
        (entry,) = await entries_of(cron, 1)
        assert (entry["status"], entry["deliveryStatus"]) == ("ok", "delivered")
        assert {request.key for request in hooks.sent} == {entry["runId"]}
        assert len(hooks.sent) == 3
        told = json.loads(hooks.sent[0].body)
        assert (told["jobId"], told["status"], told["action"]) == (made.job_id, "ok", "finished")
        assert "echo: good morning" in told["summary"]
        await cron.run(made.job_id)
        refused = (await entries_of(cron, 2))[0]
        assert (refused["status"], refused["deliveryStatus"]) == ("error", "not-delivered")
        assert "answered 404" in refused["error"]


async def test_a_job_s_own_model_is_asked_first(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        turn = {**TURN, "model": "github-copilot/gpt-5-mini"}
        made = await client.request("cron.add", job(payload=turn, delivery={"mode": "none"}))
        await client.request("cron.run", {"id": made["id"]})
        await finished(client)
        assert [route for route, _ in rig.model.requests] == ["copilot/responses"]


async def test_what_waits_for_a_heartbeat_begins_with_it(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        event = {"kind": "systemEvent", "text": "stand up"}
        made = await client.request("cron.add", job(payload=event, wakeMode="next-heartbeat", schedule=soon()))
        cron = rig.gateway.services.cron
        async with asyncio.timeout(5):
            while (await cron.find(made["id"])).next_at is not None:
                await asyncio.sleep(0.02)
        assert (await client.request("cron.runs", {"scope": "all"}))["entries"] == []
        cron.beat()
        (entry,) = await finished(client)
        assert entry["status"] == "ok"


async def test_sessions_of_jobs_that_are_gone_are_set_aside_after_a_day(tmp_path):
    clock = FakeClock()
    async with running_rig(tmp_path, clock=clock) as rig:
        services = rig.gateway.services
        kept = await services.sessions.open("agent:main:main")
        gone = await services.sessions.open("agent:main:cron:job_gone")
        await services.transcripts.append(gone.session_id, "r", text_message("user", "old", clock.now()))
        runner = CronRunner(services.cron, services.runs, services.sessions, services.transcripts, NoDelivery())
        assert await runner.prune() == 0
        clock.advance(25 * 3600)
        assert await runner.prune() == 1
        assert [row.key for row in services.sessions.listing()] == [kept.key]
        folder = tmp_path / "agents" / "main" / "sessions"
        assert [path.name.split(".jsonl.")[1].split(".")[0] for path in folder.iterdir()] == ["deleted"]
