"""The agent's files and skills, and what was used, of the stand-in."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from openclaw.protocol.methods.files import NAMES

Json = dict[str, Any]
WORKSPACE = "/state/openclaw/workspace"


def usage(tokens: int, count: int = 1) -> Json:
    """Totals in the protocol's fields, mostly cached input as in life."""
    cached, output = tokens * 6 // 10, tokens // 10
    parts = {"input": tokens - cached - output, "output": output, "cacheRead": cached, "cacheWrite": 0}
    return {**parts, "totalTokens": tokens, "totalCost": 0, "missingCostEntries": count}


@dataclass
class AgentPages:
    """State behind the pages Agent and Usage.

    Attributes:
        texts: standing files by name.
        tokens: what was used, by days before today.
    """

    texts: dict[str, str] = field(default_factory=lambda: {"SOUL.md": "# Manner\n\nFriendly, direct and brief.\n"})
    skills: list[Json] = field(default_factory=list)
    tokens: dict[int, int] = field(default_factory=dict)

    async def _agents_list(self, _params: Json) -> Json:
        return {"defaultId": "main", "agents": [{"id": "main", "name": "OpenClaw"}]}

    def _file(self, name: str) -> Json:
        text = self.texts.get(name)
        if text is None:
            return {"name": name, "missing": True}
        at = int(time.time() * 1000) - 3_600_000
        return {"name": name, "missing": False, "size": len(text.encode()), "updatedAtMs": at}

    def _whole(self, name: str) -> Json:
        text = self.texts.get(name)
        more = {} if text is None else {"content": text, "hash": hashlib.sha256(text.encode()).hexdigest()}
        return {"agentId": "main", "workspace": WORKSPACE, "file": self._file(name) | more}

    async def _agents_files_list(self, _params: Json) -> Json:
        return {"agentId": "main", "workspace": WORKSPACE, "files": [self._file(name) for name in NAMES]}

    async def _agents_files_get(self, params: Json) -> Json:
        return self._whole(params["name"])

    async def _agents_files_set(self, params: Json) -> Json:
        self.texts[params["name"]] = params["content"]
        return {"ok": True} | self._whole(params["name"])

    async def _skills_status(self, _params: Json) -> Json:
        return {"skills": self.skills}

    async def _usage_cost(self, params: Json) -> Json:
        end = date.fromisoformat(params["endDate"])
        kept = {ago: tokens for ago, tokens in self.tokens.items() if ago < params["days"]}
        daily = [{"date": f"{end - timedelta(days=ago)}", **usage(kept[ago])} for ago in sorted(kept, reverse=True)]
        return {"days": params["days"], "daily": daily, "totals": usage(sum(kept.values()))}

    async def _sessions_usage(self, params: Json) -> Json:
        total = sum(tokens for ago, tokens in self.tokens.items() if ago < params["days"])
        rows = [("openai-codex", "gpt-5.1", total * 8 // 10), ("github-copilot", "gpt-4o", total * 2 // 10)]
        models = [{"provider": p, "model": m, "count": 41, "totals": usage(tokens)} for p, m, tokens in rows]
        keys = {"agent:main:main": total * 7 // 10, "agent:main:discord:channel:1": total * 3 // 10}
        sessions = [
            {"key": key, "usage": usage(tokens) | {"messageCounts": {"total": 58}}} for key, tokens in keys.items()
        ]
        return {"sessions": sessions, "aggregates": {"byModel": models}}
