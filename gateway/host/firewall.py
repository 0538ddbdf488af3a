"""What the saved firewall rules say about our ports, as ``iptables-save`` writes them.

Ports that Docker publishes pass through nat PREROUTING and FORWARD, never INPUT: a rule in INPUT neither opens nor
closes them. Only the address they are bound to, or the chain DOCKER-USER, does.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.doctor.rows import Row

RULES_FILE: Final = Path("/etc/iptables/rules.v4")
"""Where ``netfilter-persistent`` keeps rules (the policy document names it)."""

_PORTS = re.compile(r"--(?:dports?|destination-ports?)\s+(\S+)")
_ANYWHERE = re.compile(r"(?:^|\s)(?:-s|--source|-i|--in-interface)\s")
_DOCKERS_OWN: Final = ("DOCKER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2", "DOCKER-FORWARD")
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Rule:
    """One line that adds a rule.

    Attributes:
        number: line in the text, from 1.
        target: ``ACCEPT``, ``DROP`` or another chain; empty for none.
    """

    number: int
    chain: str
    target: str
    text: str

    def names(self, port: int) -> bool:
        """Whether it is about a port; a rule without any condition is about all."""
        if re.fullmatch(r"(?:\[\d+:\d+\]\s+)?-A\s+\S+\s+-j\s+\S+", self.text):
            return True
        for group in _PORTS.findall(self.text):
            for part in group.split(","):
                low, _, high = part.partition(":")
                if low.isdigit() and int(low) <= port <= int(high if high.isdigit() else low):
                    return True
        return False

    @property
    def is_for_everybody(self) -> bool:
        """No source and no interface narrows it."""
        return not _ANYWHERE.search(self.text)


def parse_rules(text: str) -> list[Rule]:
    """The rules of a saved table, in order."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if added := re.match(r"(?:\[\d+:\d+\]\s+)?-A\s+(\S+)\s*(.*)", line.strip()):
            target = re.search(r"(?:^|\s)-[jg]\s+(\S+)", added[2])
            found.append(Rule(number, added[1], target[1] if target else "", line.strip()))
    return found


def examine_saved_rules(text: str, ports: Sequence[int], file: Path = RULES_FILE) -> list[Row]:
    """What rules that come back at each boot open, and whether they break Docker."""
    rules = parse_rules(text)
    found = [
        Row(
            "HOST-RULES-OPEN",
            "warn",
            f"{file}:{rule.number} opens port {port} to everybody: {rule.text}",
            f"behind a tunnel it need not be open: delete the line, then sudo iptables-restore < {file}"
            " (before, take Docker's own chains out of it)",
        )
        for rule in rules
        for port in ports
        if rule.chain == "INPUT" and rule.target == "ACCEPT" and rule.names(port) and rule.is_for_everybody
    ]
    dockers = [rule for rule in rules if rule.chain in _DOCKERS_OWN or rule.target in _DOCKERS_OWN]
    if dockers:
        found.append(
            Row(
                "HOST-RULES-DOCKER",
                "warn",
                f"{file}:{dockers[0].number} holds rules that Docker makes itself ({len(dockers)} of them);"
                " loading the file breaks running containers' networks",
                "save only your own rules: delete the lines that name DOCKER chains, but keep DOCKER-USER",
            )
        )
    if not found:
        found.append(Row("HOST-RULES-OPEN", "ok", f"{file} opens none of our ports"))
    return found


def saved_rules(ports: Sequence[int], file: Path = RULES_FILE) -> list[Row]:
    """The same for the file on this machine, if there is one that we may read."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return [Row("HOST-RULES-OPEN", "ok", f"there is no {file}: no rule of it opens our ports")]
    except OSError as error:
        return [Row("HOST-RULES-OPEN", "note", f"{file} cannot be read ({error.strerror})", "run it with sudo")]
    return examine_saved_rules(text, ports, file)


def examine_docker_user(text: str | None) -> Row:
    """Whether the one chain that filters published ports has rules.

    Args:
        text: what ``iptables -S DOCKER-USER`` said; None when it could not be asked.
    """
    name = "HOST-DOCKER-USER"
    if text is None:
        return Row(name, "note", "the chain DOCKER-USER cannot be read: no root, no iptables, or no Docker here")
    filters = [rule for rule in parse_rules(text) if rule.target in {"DROP", "REJECT"}]
    if filters:
        return Row(name, "ok", f"DOCKER-USER refuses something: {filters[0].text}")
    return Row(
        name,
        "note",
        "DOCKER-USER lets everything through: what a container publishes on 0.0.0.0 is open, whatever INPUT says",
        "publish on 127.0.0.1 only, as compose.yaml does; docs/firewall.md has rules for the chain",
    )


def docker_user_rules() -> str | None:
    """The chain's rules now; None when they cannot be had."""
    try:
        done = subprocess.run(
            ["iptables", "-S", "DOCKER-USER"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
