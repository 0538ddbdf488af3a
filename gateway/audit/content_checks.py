"""Checks of posts, memory and what is installed (AUD-SOC, AUD-MEM, AUD-SUP)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.audit.base import GatewayCheck, PostingCheck
from gateway.audit.facts import Facts
from gateway.workers.spec import GLOBAL_GROUP, MAIN_GROUP
from shared.audit.models import Outcome, holds, unknown
from shared.audit.words import planted
from shared.social.models import QUOTA
from shared.standing_files import MEMORY, STANDING_FILES

_META: Final = ("THREADS_", "INSTAGRAM_")
IN_DOUBT: Final = timedelta(hours=24)
ADVISORY_DAYS: Final = 30
_ACCEPTED: Final = tuple(name for name in STANDING_FILES if name != MEMORY)
"""What an agent notes in its memory every day would be open for ever, and nobody would read what is: AUD-MEM-002 looks
for planted words there. Changes to the others are rare and change how it behaves."""


class PostingService(GatewayCheck):
    """Workers' environments and the tenants' folders, searched for the tokens in use."""

    id = "AUD-SOC-001"
    severity = "high"
    title = "Posts go through the posting service alone: no worker and no tenant holds a network's token"
    remediation = "remove the named file or variable, and revoke the token it holds"

    def look(self, facts: Facts) -> Outcome:
        tokens = {what: s.reveal() for what, s in facts.live.get().items() if "threads" in what or "instagram" in what}
        problems = []
        if facts.profile.engine == "docker":
            for seen in facts.containers.get():
                problems += [f"{seen.name} has {name}" for name in seen.variables if name.startswith(_META)]
        for tenant, folder in facts.tenant_folders.items():
            for place in (
                sorted(folder.glob("data/*token*")) + sorted(folder.glob("*.env")) + sorted(folder.glob(".env"))
            ):
                text = place.read_bytes().decode("utf-8", "replace")
                if any(value in text for value in tokens.values()) or re.search(
                    r"(THREADS|INSTAGRAM)_ACCESS_TOKEN=\S", text
                ):
                    problems.append(f"{place} of {tenant} holds a token of a network")
        return holds(problems, "only the gateway holds them")


class Approval(PostingCheck):
    """Every rule in force."""

    id = "AUD-SOC-002"
    severity = "high"
    title = "A person approves every post, and the daily cap is below the network's"
    remediation = 'set mode = "approval" and daily_cap under [tenants.<tenant>.<network>] in policies/social.toml'

    def look(self, facts: Facts) -> Outcome:
        problems = []
        for tenant, rules in facts.social.tenants.items():
            for network, quota in QUOTA.items():
                rule = rules.of(network)
                if rule is None:
                    continue
                if rule.mode != "approval":
                    problems.append(f"{tenant}.{network} posts without asking")
                if rule.daily_cap >= quota:
                    problems.append(
                        f"{tenant}.{network} may post {rule.daily_cap} a day, and the network takes {quota}"
                    )
        return holds(problems, "every post is approved")


class NoDoubts(PostingCheck):
    """Posts that wait for a person to say what became of them."""

    id = "AUD-SOC-003"
    severity = "medium"
    title = "No post's outcome has been unknown for a day"
    remediation = "clawgate posts list, then clawgate posts resolve ID --posted or --not-posted"

    def look(self, facts: Facts) -> Outcome:
        old = [
            str(post["id"])
            for post in facts.posts.get()
            if post["state"] in {"needs_attention", "publishing"}
            and facts.now - datetime.fromisoformat(str(post["created_at"])) > IN_DOUBT
        ]
        return holds([f"{post} is in doubt" for post in old], "none")


def standing_files(facts: Facts) -> Iterator[Path]:
    """Files that steer an agent in every conversation: of each NanoClaw group, and of OpenClaw's workspaces."""
    for tenant in facts.profile.nanoclaw:
        yield from sorted(facts.paths.group(tenant, "x").parent.glob("*/CLAUDE.md"))
    for tenant in facts.profile.openclaw:
        folder = facts.paths.tenant(tenant) / "workspace"
        yield from (folder / name for name in _ACCEPTED if (folder / name).is_file())


def skill_folders(facts: Facts) -> Iterator[Path]:
    """Every skill that an agent may load."""
    for tenant in facts.profile.nanoclaw:
        yield from sorted(facts.paths.group_session(tenant, "x").parent.parent.glob("*/.claude/skills/*"))
    for tenant in facts.profile.openclaw:
        folder = facts.paths.tenant(tenant)
        yield from sorted(p for root in ("skills", "workspace/skills") for p in (folder / root).glob("*") if p.is_dir())


def content_of(place: Path) -> str:
    """SHA-256 over a file, or over everything below a folder with its names; links are named, not followed."""
    digest = hashlib.sha256()
    for each in sorted(place.rglob("*")) if place.is_dir() else [place]:
        digest.update(str(each.relative_to(place.parent)).encode() + b"\0")
        if each.is_symlink():
            digest.update(b"link to " + str(each.readlink()).encode())
        elif each.is_file():
            digest.update(each.read_bytes())
    return digest.hexdigest()


def contents(facts: Facts, places: Iterator[Path]) -> dict[str, str]:
    """Contents by path below the state directory."""
    return {str(place.relative_to(facts.paths.state)): content_of(place) for place in places}


class _Accepted(GatewayCheck):
    """Compares with what a person accepted; the record is the audit chain, which no agent can reach."""

    remediation = "read what changed; if it is right: clawgate audit accept"

    def is_shipped(self, facts: Facts, name: str) -> bool:
        """Whether a file is as the product itself made it, as the tenant that made it says."""
        place = facts.paths.state / name
        return place.is_file() and hashlib.sha256(place.read_bytes()).hexdigest() in facts.shipped

    def compare(self, facts: Facts, places: Iterator[Path]) -> Outcome:
        """Changed, new and vanished ones."""
        accepted, found = facts.accepted.get(), contents(facts, places)
        problems = [
            f"{name} {'was changed' if name in accepted else 'is new'} and nobody accepted it"
            for name, digest in found.items()
            if accepted.get(name) != digest and not self.is_shipped(facts, name)
        ]
        return holds(problems, f"{len(found)} as accepted")


class Cognition(_Accepted):
    """Every standing file."""

    id = "AUD-MEM-001"
    severity = "high"
    title = "Files that steer the agents are as a person accepted them"
    refs = ("ASI06",)

    def look(self, facts: Facts) -> Outcome:
        return self.compare(facts, standing_files(facts))


class Planted(GatewayCheck):
    """Markdown in the groups' folders; OpenClaw looks at its own."""

    id = "AUD-MEM-002"
    severity = "medium"
    title = "What agents remember holds no hidden or planted instructions"
    remediation = "read the named files with `cat -v` and remove what you did not write"
    refs = ("LLM01",)

    def look(self, facts: Facts) -> Outcome:
        places = [
            place
            for tenant in facts.profile.nanoclaw
            for place in sorted(facts.paths.group(tenant, "x").parent.glob("*/*.md"))
            if not place.is_symlink()
        ]
        return holds(list(planted(places)), f"{len(places)} files")


class OwnMemory(GatewayCheck):
    """What each worker may write."""

    id = "AUD-MEM-003"
    severity = "high"
    subject = "nanoclaw"
    title = "A group's agent can write no other group's memory, nor the shared one, nor policies"
    remediation = "end the named workers with `nanoclaw workers stop --all`"
    fix = "auto"

    def look(self, facts: Facts) -> Outcome:
        if facts.profile.engine != "docker":
            return Outcome("pass", "workers are not containers in this sandbox")
        problems = []
        for seen in facts.containers.get():
            for place in seen.mounts:
                if place.read_only or not seen.tenant:
                    continue
                source, groups = Path(place.source), facts.paths.group(seen.tenant, "x").parent.resolve()
                if source.is_relative_to(facts.paths.policies.resolve()):
                    problems.append(f"{seen.name} may write {source}")
                if source.is_relative_to(groups) and source != groups:
                    owner = source.relative_to(groups).parts[0]
                    if owner != seen.group and not (owner == GLOBAL_GROUP and seen.group == MAIN_GROUP):
                        problems.append(f"{seen.name} may write the memory of {owner}")
        return holds(problems, "each its own")


class Dependencies(GatewayCheck):
    """Installed versions against the lock and the advisories."""

    id = "AUD-SUP-001"
    severity = "high"
    title = "What is installed is what was locked by hash, and none of it is known to be vulnerable"
    remediation = (
        "install again with scripts/setup.sh; compare policies/advisories.toml with the public advisories, and set "
        "`reviewed`"
    )
    refs = ("ASI04",)

    def look(self, facts: Facts) -> Outcome:
        lock, advisories = facts.lock.get(), facts.advisories
        problems = [
            f"{name} {facts.installed[name]} is installed, and {version} was locked"
            for name, version in lock.items()
            if name in facts.installed and facts.installed[name] != version
        ]
        for name, fixed in advisories.packages.items():
            have = facts.installed.get(name)
            if have is not None and version_of(have) < version_of(fixed):
                problems.append(f"{name} {have} is vulnerable, {fixed} is not")
        age = (facts.now.date() - advisories.reviewed).days
        if not problems and age >= ADVISORY_DAYS:
            return unknown(f"the advisories were compared {age} days ago")
        return holds(problems, f"{len(lock)} locked packages; advisories of {advisories.reviewed}")


def version_of(text: str) -> tuple[int, ...]:
    """The numbers of a version, for comparing; what follows them does not count."""
    match = re.match(r"v?([0-9]+(?:\.[0-9]+)*)", text)
    numbers = tuple(int(part) for part in match[1].split(".")) if match else (0,)
    return numbers + (0,) * (4 - len(numbers))


class Skills(_Accepted):
    """Every skill folder."""

    id = "AUD-SUP-002"
    severity = "high"
    title = "Skills are as a person accepted them, every file of them"
    refs = ("ASI04",)

    def look(self, facts: Facts) -> Outcome:
        return self.compare(facts, skill_folders(facts))


class Versions(GatewayCheck):
    """What the engine says, and what is installed."""

    id = "AUD-SUP-003"
    severity = "medium"
    title = "The container engine and the agents' command line are not older than policy wants"
    remediation = "upgrade what is named, or change [versions] in policies/audit.toml"
    refs = ("ASI04",)

    def look(self, facts: Facts) -> Outcome:
        wanted = facts.policy.versions
        problems = []
        if facts.profile.engine == "docker" and wanted.engine_min:
            engine = facts.engine.get()
            if version_of(engine) < version_of(wanted.engine_min):
                problems.append(f"the engine is {engine}, older than {wanted.engine_min}")
        if wanted.sdk_min:
            sdk = facts.installed.get("claude-agent-sdk", "0")
            if version_of(sdk) < version_of(wanted.sdk_min):
                problems.append(f"claude-agent-sdk is {sdk}, older than {wanted.sdk_min}")
        return holds(problems, "new enough")


CONTENT_CHECKS: Final = (
    PostingService(),
    Approval(),
    NoDoubts(),
    Cognition(),
    Planted(),
    OwnMemory(),
    Dependencies(),
    Skills(),
    Versions(),
)
