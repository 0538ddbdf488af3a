"""Approvals, sessions, channels, models, jobs, logs and configuration of the stand-in, and what can be done to them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.ui_stand_in_agent import AgentPages

Json = dict[str, Any]
Emit = Callable[[str, Json], Awaitable[None]]

REDACTED = "__OPENCLAW_REDACTED__"
MAIN = "agent:main:main"


def now_ms() -> int:
    return int(time.time() * 1000)


class Refused(Exception):
    """Answers a request with an error."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


SCHEMA: Json = {
    "type": "object",
    "properties": {
        "gateway": {
            "type": "object",
            "properties": {
                "port": {"type": "integer", "default": 18789},
                "bind": {"enum": ["loopback", "lan", "auto"], "default": "loopback"},
                "auth": {"type": "object", "properties": {"token": {"type": "string"}}},
                "trustedProxies": {"type": "array", "items": {"type": "string"}},
                "controlUi": {"type": "object", "properties": {"enabled": {"type": "boolean", "default": True}}},
            },
        },
        "agents": {
            "type": "object",
            "properties": {
                "defaults": {
                    "type": "object",
                    "properties": {
                        "model": {"$ref": "#/definitions/model"},
                        "maxConcurrent": {"type": "integer", "default": 4},
                    },
                }
            },
        },
        "channels": {
            "type": "object",
            "properties": {"discord": {"type": "object", "properties": {"guilds": {"type": "object"}}}},
        },
    },
    "definitions": {
        "model": {
            "type": "object",
            "properties": {
                "primary": {"type": "string"},
                "fallbacks": {"type": "array", "items": {"type": "string"}},
            },
        }
    },
}
HINTS: Json = {
    "gateway": {"label": "Gateway", "order": 1},
    "agents": {"label": "Agents", "order": 2},
    "channels": {"label": "Channels", "order": 3},
    "gateway.port": {"label": "Port", "help": "Where the gateway listens.", "order": 1},
    "gateway.bind": {"label": "Bind", "help": "Which network may reach it.", "order": 2},
    "gateway.auth.token": {"label": "Token", "sensitive": True, "order": 3},
    "gateway.trustedProxies": {"label": "Trusted proxies", "help": "Addresses of proxies of your own.", "order": 4},
    "gateway.controlUi.enabled": {"label": "Control UI", "order": 5},
    "agents.defaults.model.primary": {"label": "First model"},
    "agents.defaults.model.fallbacks": {"label": "Fallbacks"},
    "agents.defaults.maxConcurrent": {"label": "Runs at once", "advanced": True},
    "channels.discord.guilds": {"label": "Discord servers"},
}


def _config() -> Json:
    return {
        "gateway": {"port": 18789, "auth": {"token": REDACTED}, "trustedProxies": ["10.0.0.2"]},
        "agents": {"defaults": {"model": {"primary": "openai-codex/gpt-5.1", "fallbacks": ["github-copilot/gpt-4o"]}}},
        "channels": {"discord": {"guilds": {"100000000000000001": {"requireMention": True}}}},
    }


@dataclass(kw_only=True)
class Pages(AgentPages):
    """State behind the pages, and their methods.

    Attributes:
        missing: methods that this gateway does not have.
        forbidden: methods that need a scope the client does not have, with that scope.
    """

    emit: Emit
    approvals: list[Json] = field(default_factory=list)
    allowlist: list[Json] = field(default_factory=list)
    sessions: list[Json] = field(default_factory=list)
    accounts: list[Json] = field(default_factory=list)
    jobs: list[Json] = field(default_factory=list)
    runs: dict[str, list[Json]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    credentials: list[Json] = field(default_factory=list)
    posts: list[Json] = field(default_factory=list)
    config: Json = field(default_factory=_config)
    issues: list[Json] = field(default_factory=list)
    unreadable: bool = False
    resting: str = ""
    missing: set[str] = field(default_factory=set)
    forbidden: dict[str, str] = field(default_factory=dict)

    async def call(self, method: str, params: Json) -> Any:
        """The answer; raises `Refused`."""
        if method in self.missing:
            raise Refused(f"unknown method: {method}")
        if method in self.forbidden:
            raise Refused(f"missing scope: {self.forbidden[method]}")
        handler = getattr(self, "_" + method.replace(".", "_"), None)
        if handler is None:
            raise Refused(f"unknown method: {method}")
        return await handler(params)

    # --- approvals -------------------------------------------------------------------

    async def ask(self, command: str, **more: Any) -> Json:
        """An agent wants to run something."""
        request = {
            "command": command,
            "commandArgv": command.split(),
            "envKeys": [],
            "cwd": None,
            "host": "gateway",
            "resolvedPath": f"/usr/bin/{command.partition(' ')[0]}",
            "sessionKey": MAIN,
            "reason": "The program is not in the list of what may run.",
            "words": command.split(),
            "alwaysRefused": "",
        }
        times = {"createdAtMs": now_ms(), "expiresAtMs": now_ms() + more.pop("life_ms", 1_500_000)}
        approval = {"id": f"approval-{len(self.approvals) + 1}", "request": request | more, **times}
        self.approvals.append(approval)
        await self.emit("exec.approval.requested", approval)
        return approval

    async def decide(self, approval_id: str, decision: str, by: str) -> None:
        found = next((one for one in self.approvals if one["id"] == approval_id), None)
        if found is None:
            raise Refused("unknown approval id")
        self.approvals.remove(found)
        told = {"id": approval_id, "decision": decision, "resolvedBy": by, "ts": now_ms()}
        await self.emit("exec.approval.resolved", told | {"request": found["request"]})

    async def _exec_approval_list(self, _params: Json) -> Json:
        return {"approvals": self.approvals}

    async def _exec_approval_resolve(self, params: Json) -> Json:
        await self.decide(params["id"], params["decision"], "Chrome on Linux")
        return {"ok": True}

    async def _exec_approvals_get(self, _params: Json) -> Json:
        file = {"version": 1, "defaults": {}, "agents": {"main": {"allowlist": self.allowlist}}}
        return {"path": "exec-approvals.json", "exists": True, "hash": _hash(json.dumps(file)), "file": file}

    async def _exec_approvals_set(self, params: Json) -> Json:
        if params["baseHash"] != (await self._exec_approvals_get({}))["hash"]:
            raise Refused("exec approvals changed since last load; re-run exec.approvals.get and retry")
        self.allowlist = params["file"]["agents"]["main"]["allowlist"]
        return await self._exec_approvals_get({})

    # --- sessions --------------------------------------------------------------------

    async def _sessions_list(self, _params: Json) -> Json:
        return {"ts": now_ms(), "count": len(self.sessions), "sessions": self.sessions}

    def _session(self, key: str) -> Json:
        return next(session for session in self.sessions if session["key"] == key)

    async def _sessions_patch(self, params: Json) -> Json:
        self._session(params["key"])["label"] = params["label"]
        return {"ok": True, "key": params["key"]}

    async def _sessions_reset(self, params: Json) -> Json:
        self._session(params["key"]).update(totalTokens=0, lastMessagePreview="")
        return {"ok": True, "key": params["key"]}

    async def _sessions_delete(self, params: Json) -> Json:
        self.sessions.remove(self._session(params["key"]))
        return {"ok": True, "key": params["key"], "deleted": True, "archived": []}

    async def _sessions_compact(self, params: Json) -> Json:
        return {"ok": True, "key": params["key"], "compacted": True, "kept": 40}

    # --- channels, models, credentials -----------------------------------------------

    async def _channels_status(self, params: Json) -> Json:
        accounts = self.accounts
        if params.get("probe"):
            intents = {"messageContent": "limited", "guildMembers": "disabled", "presence": "disabled"}
            probe = {
                "ok": True,
                "elapsedMs": 41,
                "error": None,
                "bot": {"id": "1", "username": "clawbot"},
                "application": {"id": "1", "intents": intents},
            }
            accounts = [account | {"probe": probe, "lastProbeAt": now_ms()} for account in accounts]
        ids = ["discord"] if accounts else []
        return {
            "ts": now_ms(),
            "channelOrder": ids,
            "channelLabels": {"discord": "Discord"},
            "channels": {},
            "channelAccounts": {"discord": accounts},
        }

    async def _models_list(self, _params: Json) -> Json:
        rows = [
            ("openai-codex", "gpt-5.1", 272_000, True),
            ("openai-codex", "gpt-5.1-mini", 272_000, True),
            ("github-copilot", "gpt-4o", 128_000, False),
            ("github-copilot", "claude-sonnet-4.5", 200_000, True),
        ]
        return {
            "models": [
                {"id": name, "name": name, "provider": provider, "contextWindow": window, "reasoning": reasoning}
                for provider, name, window, reasoning in rows
            ]
        }

    async def _usage_status(self, _params: Json) -> Json:
        model = self.config["agents"]["defaults"]["model"]
        windows = [{"label": "5 h", "usedPercent": 34, "resetAt": now_ms() + 7_000_000}]
        rows: list[Json] = [
            {"provider": ref.partition("/")[0], "displayName": ref, "windows": [] if place else windows}
            for place, ref in enumerate([model["primary"], *model["fallbacks"]])
        ]
        if self.resting:
            rows[0]["error"] = self.resting
        return {"updatedAt": now_ms(), "providers": rows}

    async def _credentials_status(self, _params: Json) -> Json:
        return {"credentials": self.credentials}

    # --- posts -----------------------------------------------------------------------

    async def _posts_list(self, _params: Json) -> Json:
        return {"posts": self.posts}

    async def _posts_thumbnail(self, params: Json) -> Json:
        post = next(post for post in self.posts if post["id"] == params["id"])
        if params["number"] not in post.get("thumbnails", []):
            raise Refused("there is no such picture")
        return {"dataUrl": "data:image/gif;base64,R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs="}

    async def _change_post(self, params: Json, state: str, **more: Any) -> Json:
        post = next(post for post in self.posts if post["id"] == params["id"])
        if params.get("digest", post["digest"]) != post["digest"]:
            raise Refused("the post has another text by now: look at it again")
        post.update(state=state, **more)
        await self.emit("posts.changed", post)
        return {"post": post}

    async def _posts_approve(self, params: Json) -> Json:
        return await self._change_post(params, "queued", approvedBy="Chrome on Linux")

    async def _posts_reject(self, params: Json) -> Json:
        return await self._change_post(params, "rejected")

    async def _posts_edit(self, params: Json) -> Json:
        return await self._change_post(params, "awaiting_approval", text=params["text"], digest="b" * 64)

    async def _posts_delete(self, params: Json) -> Json:
        return await self._change_post(params, "deleting")

    async def _posts_resolve(self, params: Json) -> Json:
        return await self._change_post(params, "published" if params["posted"] else "failed")

    # --- jobs ------------------------------------------------------------------------

    async def _cron_list(self, _params: Json) -> Json:
        return {"jobs": self.jobs, "total": len(self.jobs), "offset": 0, "limit": 200, "hasMore": False}

    async def _cron_status(self, _params: Json) -> Json:
        return {"enabled": True, "storePath": "", "jobs": len(self.jobs), "nextWakeAtMs": now_ms() + 3_600_000}

    def _job(self, job_id: str) -> Json:
        return next(job for job in self.jobs if job["id"] == job_id)

    async def _cron_add(self, params: Json) -> Json:
        job = {
            "id": f"job-{len(self.jobs) + 1}",
            "createdAtMs": now_ms(),
            "updatedAtMs": now_ms(),
            **params,
            "state": {},
        }
        self.jobs.append(job)
        await self.emit("cron", {"jobId": job["id"], "action": "added"})
        return job

    async def _cron_update(self, params: Json) -> Json:
        job = self._job(params["id"])
        job.update(params["patch"])
        return job

    async def _cron_remove(self, params: Json) -> Json:
        self.jobs.remove(self._job(params["id"]))
        return {"ok": True, "removed": True}

    async def _cron_run(self, params: Json) -> Json:
        job = self._job(params["id"])
        job["state"] = {"lastRunAtMs": now_ms(), "lastRunStatus": "ok", "lastDurationMs": 2100}
        entry = {"ts": now_ms(), "jobId": job["id"], "status": "ok", "durationMs": 2100, "summary": "All is well."}
        self.runs.setdefault(job["id"], []).insert(0, entry)
        await self.emit("cron", {"jobId": job["id"], "action": "finished", "status": "ok"})
        return {"ok": True, "ran": True}

    async def _cron_runs(self, params: Json) -> Json:
        entries = self.runs.get(params["id"], [])
        return {"entries": entries, "total": len(entries), "offset": 0, "limit": 20, "hasMore": False}

    # --- logs and configuration ------------------------------------------------------

    async def _logs_tail(self, params: Json) -> Json:
        lines = self.log[params.get("cursor", 0) :]
        file = "/state/openclaw/logs/openclaw.log"
        return {"file": file, "cursor": len(self.log), "size": 1, "lines": lines, "truncated": False, "reset": False}

    @property
    def raw(self) -> str:
        return json.dumps(self.config, indent=2) + "\n"

    async def _config_get(self, _params: Json) -> Json:
        head = {"path": "/state/openclaw/openclaw.json", "exists": True, "raw": self.raw, "hash": _hash(self.raw)}
        valid = not self.issues
        if self.unreadable:
            return {**head, "raw": None, "valid": False, "issues": self.issues, "lastValid": {"raw": self.raw}}
        return {
            **head,
            "parsed": self.config,
            "config": self.config,
            "valid": valid,
            "issues": self.issues,
            "warnings": [],
        }

    async def _config_schema(self, _params: Json) -> Json:
        return {"schema": SCHEMA, "uiHints": HINTS, "version": "1", "generatedAt": ""}

    def _guard(self, params: Json) -> None:
        if params["baseHash"] != _hash(self.raw):
            raise Refused("config changed since last load; re-run config.get and retry")

    async def _config_set(self, params: Json) -> Json:
        self._guard(params)
        new = json.loads(params["raw"])
        unknown = next((key for key in new if key not in SCHEMA["properties"]), None)
        if unknown:
            raise Refused("invalid config", issues=[{"path": unknown, "message": f"Unrecognized key: {unknown}"}])
        self.config, self.issues, self.unreadable = new, [], False
        return {"ok": True, "path": "", "config": new}

    async def _config_patch(self, params: Json) -> Json:
        self._guard(params)
        self.config = _merged(self.config, json.loads(params["raw"]))
        return {"ok": True, "path": "", "config": self.config}


def _merged(before: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
