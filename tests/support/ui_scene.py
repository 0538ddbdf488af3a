"""An invented state of a gateway in which every page has something to show."""

from __future__ import annotations

import json
from typing import Any

from tests.support.ui_stand_in import StandIn
from tests.support.ui_stand_in_pages import MAIN, now_ms

ANSWER = """The order matters only once:

1. Stop the tenant, **then** take the backup.
2. Copy the folder to the new machine.
3. Start it there and check `openclaw health`.

```sh
clawgate backup --to backup.tar.zst
clawgate restore backup.tar.zst
```

| step | takes |
|---|---|
| backup | 12 s |
| copy | 40 s |

Nothing is lost when a step is repeated."""
CHECKLIST = """- [x] stop the tenant
- [x] take the backup
- [ ] copy the folder to the new machine"""
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
UI_SCOPES = ["operator.admin", "operator.approvals", "operator.pairing"]
REQUEST = "5d0b4f0e-0c0d-4f7e-9f53-6a3b9c1f6a10"


def device(name: str, device_id: str, hours: int, **more: Any) -> dict[str, Any]:
    at = now_ms() - 72 * HOUR_MS
    token = {"role": "operator", "scopes": UI_SCOPES, "createdAtMs": at, "lastUsedAtMs": now_ms() - hours * HOUR_MS}
    head = {"deviceId": device_id, "displayName": name, "platform": "linux x86_64", "roles": ["operator"]}
    return {**head, "scopes": UI_SCOPES, "approvedAtMs": at, "tokens": [token], **more}


async def scene(gateway: StandIn) -> None:
    """Fill it."""
    _conversation(gateway)
    _sessions(gateway)
    _devices(gateway)
    _posts(gateway)
    _jobs(gateway)
    _log(gateway)
    pages = gateway.pages
    await pages.ask(
        "curl -sS https://api.example.org/v1/forecast?city=Seoul",
        envKeys=["TZ"],
        reason="curl may only fetch from hosts that are on the list, and api.example.org is not.",
    )
    pages.allowlist = [
        {
            "id": "g1",
            "pattern": "curl -sS https://status.example.org/",
            "lastUsedAt": now_ms() - 3 * HOUR_MS,
            "lastResolvedPath": "/usr/bin/curl",
        },
        {"id": "g2", "pattern": "jq .version package.json"},
    ]
    pages.accounts = [
        {
            "accountId": "default",
            "name": "OpenClaw",
            "enabled": True,
            "configured": True,
            "running": True,
            "connected": True,
            "lastStartAt": now_ms() - 26 * HOUR_MS,
            "lastInboundAt": now_ms() - 4 * MINUTE_MS,
            "lastOutboundAt": now_ms() - 4 * MINUTE_MS,
            "tokenSource": "vault",
            "lastError": None,
            "probe": {
                "ok": True,
                "elapsedMs": 41,
                "bot": {"username": "OpenClaw"},
                "application": {"id": "1", "intents": {"messageContent": "limited"}},
            },
            "lastProbeAt": now_ms() - 2 * MINUTE_MS,
        }
    ]
    pages.texts |= {"USER.md": "# The person you work for\n", "MEMORY.md": "# What to remember\n"}
    pages.tokens = {ago: (ago * 7919 % 31 + 4) * 9000 for ago in range(28) if ago % 7 not in (3, 4)}
    skill = {"source": "openclaw-workspace", "eligible": True, "disabled": False, "missing": {"bins": []}}
    pages.skills = [
        skill | {"name": "garden-post", "description": "Writes the weekly post about the garden.", "baseDir": "a"},
        skill
        | {
            "name": "plot",
            "description": "Draws figures with gnuplot.",
            "baseDir": "b",
            "eligible": False,
            "missing": {"bins": ["the program gnuplot"]},
        },
    ]
    for one in pages.skills:
        one["filePath"] = f"/state/openclaw/workspace/skills/{one['name']}/SKILL.md"
    pages.credentials = [
        {
            "id": "copilot",
            "label": "GitHub Copilot",
            "state": "expiring",
            "expiresAtMs": now_ms() + 30 * HOUR_MS,
            "fix": "clawgate auth login copilot",
        }
    ]


def _posts(gateway: StandIn) -> None:
    head = {
        "network": "threads",
        "account": "@openclaw.garden",
        "group": "main",
        "kind": "text",
        "limit": 500,
        "extras": {},
        "media": [],
        "digest": "d" * 64,
        "summary": "",
        "createdAtMs": now_ms() - 12 * MINUTE_MS,
        "dueAtMs": now_ms() + 2 * HOUR_MS,
    }
    first = "Tomatoes are in. If the frost stays away until Sunday, the beans follow.\n\n#garden"
    second = "Spring cleaning in the shed: three rakes, no handle."
    gateway.pages.posts = [
        {**head, "id": "post_1", "text": first, "length": len(first), "state": "awaiting_approval"},
        {
            **head,
            "id": "post_2",
            "text": second,
            "length": len(second),
            "state": "published",
            "approvedBy": "Minji",
            "permalink": "https://www.threads.net/@openclaw.garden/post/1",
            "createdAtMs": now_ms() - 50 * HOUR_MS,
            "dueAtMs": now_ms() - 49 * HOUR_MS,
        },
    ]


def _conversation(gateway: StandIn) -> None:
    at = now_ms() - 10 * MINUTE_MS

    def said(role: str, text: str, after_ms: int) -> dict[str, Any]:
        return {"role": role, "content": [{"type": "text", "text": text}], "timestamp": at + after_ms}

    call = {"type": "toolCall", "id": "c1", "name": "read_file", "arguments": {"path": "RUNBOOK.md"}}
    gateway.history[MAIN] = [
        said("user", "How do I move OpenClaw to another machine?", 0),
        said("assistant", ANSWER, 4000),
        said("user", "And how long is it offline?\nRoughly is fine.", MINUTE_MS),
        {"role": "assistant", "content": [call], "timestamp": at + MINUTE_MS + 1000},
        {
            "role": "toolResult",
            "toolCallId": "c1",
            "content": [{"type": "text", "text": "# Runbook"}],
            "isError": False,
        },
        said("assistant", "About a minute: the copy is the longest part.", MINUTE_MS + 3000),
    ]


def _sessions(gateway: StandIn) -> None:
    head = {"model": "gpt-5.1", "contextTokens": 272_000}
    gateway.pages.sessions = [
        {
            **head,
            "key": MAIN,
            "updatedAt": now_ms() - MINUTE_MS,
            "totalTokens": 18_400,
            "lastMessagePreview": "About a minute: the copy is the longest part.",
        },
        {
            **head,
            "key": "agent:main:discord:channel:100000000000000001",
            "displayName": "Discord #general",
            "kind": "group",
            "updatedAt": now_ms() - HOUR_MS,
            "totalTokens": 96_000,
            "lastMessagePreview": "The build is green again; the flaky test waits for the port now.",
        },
        {
            **head,
            "key": "agent:main:direct:200000000000000002",
            "label": "Garden planning",
            "updatedAt": now_ms() - 30 * HOUR_MS,
            "totalTokens": 4200,
            "abortedLastRun": True,
            "lastMessagePreview": "Tomatoes go in after the last frost, in the middle of May.",
        },
    ]


def _devices(gateway: StandIn) -> None:
    asking = {"requestId": REQUEST, "deviceId": "c4" * 32, "displayName": "Safari on iOS", "platform": "iphone"}
    gateway.pending = [
        {**asking, "remoteIp": "203.0.113.7", "roles": ["operator"], "scopes": UI_SCOPES, "ts": now_ms() - 30_000}
    ]
    gateway.paired = [
        device("openclaw command", "7b" * 32, 2, scopes=["operator.read"]),
        device("Firefox on Windows", "e9" * 32, 29, platform="win32"),
    ]


def _jobs(gateway: StandIn) -> None:
    head = {"enabled": True, "sessionTarget": "isolated", "wakeMode": "now", "delivery": {"mode": "announce"}}
    gateway.pages.jobs = [
        {
            **head,
            "id": "job-1",
            "name": "Morning news",
            "schedule": {"kind": "cron", "expr": "0 9 * * 1-5", "tz": "Asia/Seoul"},
            "payload": {"kind": "agentTurn", "message": "What happened since yesterday? Three lines, with sources."},
            "state": {
                "nextRunAtMs": now_ms() + 13 * HOUR_MS,
                "lastRunAtMs": now_ms() - 11 * HOUR_MS,
                "lastRunStatus": "ok",
            },
        },
        {
            **head,
            "id": "job-2",
            "name": "Disk check",
            "schedule": {"kind": "every", "everyMs": 6 * HOUR_MS},
            "payload": {"kind": "agentTurn", "message": "Is there room on the disk? Only answer when there is not."},
            "state": {
                "nextRunAtMs": now_ms() + HOUR_MS,
                "lastRunAtMs": now_ms() - 5 * HOUR_MS,
                "lastRunStatus": "error",
                "lastError": "every model rests; the next try is at 14:05",
                "consecutiveErrors": 2,
            },
        },
        {
            **head,
            "id": "job-3",
            "name": "Water the plants",
            "enabled": False,
            "schedule": {"kind": "cron", "expr": "0 18 * * 3"},
            "payload": {"kind": "agentTurn", "message": "Remind me to water the plants."},
            "state": {},
        },
    ]


def _log(gateway: StandIn) -> None:
    lines: list[tuple[str, str, dict[str, Any]]] = [
        ("info", "openclaw.listening", {"port": 18789}),
        ("info", "channel.connected", {"channel": "discord", "resumed": False}),
        ("info", "connection.opened", {"client": "openclaw-control-ui", "conn_id": "b29f33b2", "local": True}),
        ("info", "run.started", {"run_id": "f089db1e", "session": MAIN, "source": "webchat"}),
        ("debug", "model.chosen", {"ref": "openai-codex/gpt-5.1"}),
        ("warning", "model.rests", {"ref": "openai-codex/gpt-5.1", "status": 429, "until": "14:05"}),
        ("info", "run.ended", {"run_id": "f089db1e", "chars": 412}),
        ("error", "job.failed", {"job": "Disk check", "reason": "every model rests"}),
    ]
    gateway.pages.log = [
        json.dumps({"event": event, "level": level, "timestamp": f"2026-11-26T10:{index:02d}:07Z", **fields})
        for index, (level, event, fields) in enumerate(lines * 3)
    ]
