"""Checks of what is kept apart: people's conversations, other tenants' files, and visitors without an assertion."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Final

from openclaw.audit.facts import Facts
from openclaw.sessions import discord_session
from shared.audit.models import Check, Outcome, holds, passed
from shared.config.toml import policy_values
from shared.containment import landlock
from shared.containment.models import CommandSpec
from shared.containment.run import SYSTEM_FOLDERS, run_contained

_CAT: Final = "/usr/bin/cat"


class OwnConversations(Check[Facts]):
    """How sessions are named, and how many people share the one of direct messages."""

    id = "AUD-CHN-004"
    severity = "medium"
    title = "Each channel has a conversation of its own, and so has everybody who writes directly"
    remediation = "leave one person under allow_from and paired: openclaw pairing list; others write in channels"

    def run(self, facts: Facts) -> Outcome:
        problems = []
        if discord_session("dc:1", "guild") == discord_session("dc:2", "guild"):
            problems.append("two channels share a conversation")
        people = set(facts.ask("pairing.allowed")) | set(facts.snapshot.policy.discord.allow_from)
        if len(people) > 1 and discord_session("dc:1", "dm") == discord_session("dc:2", "dm"):
            problems.append(f"{len(people)} people share the conversation of direct messages")
        return holds(problems, f"{len(people)} may write directly")


class Contained(Check[Facts]):
    """A drill: a contained command tries to read files that lie there, and one in its own folder."""

    id = "AUD-TEN-001"
    severity = "critical"
    title = "A command of the agent reads nothing of the gateway, of another tenant, or of this one's secrets"
    remediation = "run a kernel with Landlock (5.13 or newer), and keep it switched on"
    fix = "manual"
    refs = ("ASI05",)

    def run(self, facts: Facts) -> Outcome:
        if not landlock.abi():
            return holds(["the kernel has no Landlock: nothing contains a command"], "")
        return asyncio.run(self._drill(facts, os.path.realpath(_CAT)))

    async def _drill(self, facts: Facts, program: str) -> Outcome:
        problems = []
        with tempfile.TemporaryDirectory(prefix="cg-audit-") as outside, tempfile.TemporaryDirectory() as scratch:
            foreign, own = Path(outside) / "foreign", Path(scratch) / "own"
            for place in (foreign, own):
                place.write_text("seen", encoding="ascii")
            targets = [foreign, facts.paths.pid_file(facts.tenant), facts.paths.tenant_db(facts.tenant)]
            for place in (own, *(target for target in targets if target.exists())):
                spec = CommandSpec(
                    program=program,
                    argv=("cat", str(place)),
                    env={"PATH": "/usr/bin:/bin"},
                    scratch=scratch,
                    cwd=scratch,
                    readable=tuple(SYSTEM_FOLDERS),
                    timeout_s=10.0,
                )
                outcome = await run_contained(spec)
                if place == own:
                    if outcome.exit_code or outcome.stdout != b"seen":
                        problems.append(f"a contained command does not run: {outcome.problem or outcome.exit_code}")
                elif outcome.stdout:
                    problems.append(f"a contained command read {place}")
        return holds(problems, f"Landlock {landlock.abi()}; what lies outside cannot be read")


class Asserted(Check[Facts]):
    """What the tunnel's policy says stands in front, and what is verified."""

    id = "AUD-NET-007"
    severity = "high"
    title = "Where Cloudflare Access stands in front, its assertion is verified here too"
    remediation = "set [access] team_domain and audiences in policies/openclaw.toml as in policies/tunnel.toml"

    def run(self, facts: Facts) -> Outcome:
        front = policy_values("tunnel", facts.paths).get("access", {})
        if not front.get("team"):
            return passed("policies/tunnel.toml has no Access")
        ours = facts.snapshot.policy.access
        problems = []
        if ours.team_domain != f"{front['team']}.cloudflareaccess.com":
            problems.append(f"assertions are verified for {ours.team_domain or 'nobody'}, not for {front['team']}")
        if not set(front.get("audiences", ())) <= set(ours.audiences):
            problems.append("an application of the tunnel is not among the audiences")
        return holds(problems, ours.team_domain)


SEPARATION_CHECKS: Final = (OwnConversations(), Contained(), Asserted())
