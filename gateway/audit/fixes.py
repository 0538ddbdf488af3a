"""What a program may mend by itself: backed up, applied, looked at again, and taken back where it did not help.

Only what is safe to do while everything runs: modes of files, left-overs, a policy value that openclaw.json or a policy
file loosened, jobs that are late, workers that are not as the next ones will be. The rest is told to a person.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from gateway.audit.catalogue import CATALOGUE
from gateway.audit.chain import Chain
from gateway.audit.facts import Facts
from gateway.audit.gather import gather
from gateway.audit.operation_checks import log_folders, world_writable
from gateway.audit.secret_checks import secret_files
from gateway.audit.service import judge
from gateway.audit.tightening import Tightening
from shared.clock import SYSTEM_CLOCK
from shared.config.envfile import FORBIDDEN
from shared.config.paths import Paths
from shared.config.toml import operator_file, operator_values
from shared.config.tomlwrite import to_toml
from shared.errors import GatewayError
from shared.lifecycle.control import call
from shared.secrets.files import write_private

Outcome = Literal["would do", "mended", "rolled back", "failed"]

_DEFAULTS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "AUD-EXE-001": ("exec", ("security",)),
    "AUD-EXE-004": ("exec", ("ask",)),
    "AUD-CHN-002": ("openclaw", ("discord", "dm_policy")),
    "AUD-NET-009": ("openclaw", ("trusted_proxies",)),
    "AUD-NET-010": ("openclaw", ("auth",)),
    "AUD-NET-013": ("gateway", ("model_api", "host")),
    "AUD-CTR-010": ("gateway", ("workers", "pids")),
}
"""Keys of the operator's policy files that go back to what is shipped; the process takes it up at its next start."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to mend.

    Attributes:
        files: what it writes anew, for the backup.
        work: does it; safe to do twice.
        mode: what it changes the mode of.
    """

    check: str
    what: str
    files: tuple[Path, ...]
    work: Callable[[], None]
    outcome: Outcome = "would do"
    mode: Tightening | None = None

    def as_json(self) -> dict[str, str]:
        """For ``--json``; no secret."""
        return {"check": self.check, "what": self.what, "outcome": self.outcome}


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file as it was: its text lies in the backup where it is no secret."""

    place: Path
    mode: int
    data: bytes


async def plan(paths: Paths) -> list[Step]:
    """What would be done about what is open; changes nothing."""
    facts = gather(paths)
    audit = await judge(facts, ())
    is_auto = {check.id for check in CATALOGUE if check.fix == "auto"}
    open_ = [finding.id for finding in audit.report.findings if finding.is_open and finding.id in is_auto]
    return [step for check in open_ for step in steps_for(check, facts)]


def steps_for(check: str, facts: Facts) -> Iterator[Step]:
    """What mends a check; nothing for one that only a person can."""
    if check == "AUD-SEC-001":
        yield from _rename_keys(facts.paths.env_file)
    elif check == "AUD-SEC-002":
        for place in secret_files(facts):
            yield from _tighten(check, facts.paths, place, stat.S_IRWXG | stat.S_IRWXO)
        yield from _tighten(check, facts.paths, facts.paths.gateway, stat.S_IRWXG | stat.S_IRWXO)
        for tenant in facts.profile.openclaw:
            for place in _openclaw_files(facts.paths.tenant(tenant)):
                yield from _tighten(check, facts.paths, place, stat.S_IRWXG | stat.S_IRWXO)
    elif check == "AUD-SEC-009":
        for place in facts.paths.gateway.glob(".*.????????"):
            yield Step(check, f"remove {place}", (), lambda place=place: place.unlink(missing_ok=True))  # type: ignore[misc]
    elif check == "AUD-OPS-009":
        for place in world_writable(facts.paths.state):
            yield from _tighten(check, facts.paths, place, stat.S_IWOTH)
    elif check == "AUD-OPS-004":
        for folder in log_folders(facts):
            yield from _tighten(check, facts.paths, folder, stat.S_IWGRP | stat.S_IWOTH)
        for name in facts.jobs:
            yield _run_job(check, facts.paths, name, "logs.delete")
    elif check == "AUD-OPS-005":
        for name, asked in facts.jobs.items():
            for row in asked.answer or ():
                if row["failures"]:
                    yield _run_job(check, facts.paths, name, str(row["name"]))
    elif check in _DEFAULTS:
        yield from _to_default(check, facts.paths, *_DEFAULTS[check])
    elif check.startswith("AUD-CTR-") or check in {"AUD-SEC-005", "AUD-SEC-006", "AUD-MEM-003"}:
        yield Step(
            check,
            "end all workers; the next ones are made anew",
            (),
            lambda: _told(facts.paths, "gateway", "end_workers"),
        )


def _openclaw_files(folder: Path) -> Iterator[Path]:
    named = ("data/gateway-token", "identity/device.json", ".env", "openclaw.json", "exec-approvals.json")
    for place in [folder / name for name in named] + sorted(folder.glob("agents/*/agent/*.json")):
        if place.is_file() and not place.is_symlink():
            yield place


def _tighten(check: str, paths: Paths, place: Path, bits: int) -> Iterator[Step]:
    if (found := Tightening.planned(paths.state, place, bits)) is not None:
        yield Step(check, f"chmod {found.wanted:03o} {place}", (), found.apply, mode=found)


def _rename_keys(file: Path) -> Iterator[Step]:
    if not file.exists():
        return
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    name = "ANTHROPIC_API_KEY"
    hit = [line for line in lines if line.removeprefix("export ").partition("=")[0].strip() == name]
    has_fallback = any(line.startswith(f"{name}_FALLBACK=") for line in lines)
    if not hit or has_fallback or name not in FORBIDDEN:
        return

    def work() -> None:
        changed = [line.replace(name, f"{name}_FALLBACK", 1) if line in hit else line for line in lines]
        write_private(file, "".join(changed))

    yield Step("AUD-SEC-001", f"rename {name} to {name}_FALLBACK in {file}", (file,), work)


def _to_default(check: str, paths: Paths, policy: str, key: tuple[str, ...]) -> Iterator[Step]:
    file = operator_file(policy, paths)
    values = operator_values(policy, paths)
    table: Any = values
    for part in key[:-1]:
        table = table.get(part, {})
    if key[-1] not in table:
        return

    def work() -> None:
        del table[key[-1]]
        write_private(file, to_toml(values), mode=stat.S_IMODE(file.stat().st_mode))

    yield Step(check, f"take {'.'.join(key)} out of {file}, so that the shipped value counts", (file,), work)


def _run_job(check: str, paths: Paths, process: str, name: str) -> Step:
    return Step(check, f"run {name} in {process}", (), lambda: _told(paths, process, "maintenance.run", name=name))


def _told(paths: Paths, process: str, op: str, **params: Any) -> None:  # noqa: ANN401 - the operation's own
    call(paths.control_socket(process), op, timeout_s=300.0, **params)


def apply(paths: Paths, steps: Sequence[Step], look: Callable[[Paths], dict[str, Any]]) -> list[Step]:
    """Back up, do every step, look again, and take back what did not make its check pass.

    Args:
        paths: the installation's.
        steps: from `plan`.
        look: does a run, and gives it as JSON.

    Raises:
        Unavailable: the backup cannot be written; nothing was changed.
    """
    if not steps:
        return []
    kept = _back_up(paths, steps)
    done = [_do(step) for step in steps]
    results = {row["id"]: row["result"] for row in look(paths)["findings"]}
    last = []
    for step in done:
        if step.outcome == "mended" and results.get(step.check) not in {"pass", "not_applicable"}:
            with suppress(OSError):
                if step.mode is not None:
                    step.mode.take_back()
                for place in step.files:
                    _restore(kept[place])
            last.append(replace(step, outcome="rolled back"))
        else:
            last.append(step)
    for step in last:
        Chain(paths).note(
            "audit.fixed", actor="clawgate audit --fix", subject=step.check, detail=f"{step.outcome}: {step.what}"
        )
    return last


def _do(step: Step) -> Step:
    try:
        step.work()
    except (GatewayError, OSError):
        return replace(step, outcome="failed")
    return replace(step, outcome="mended")


def _back_up(paths: Paths, steps: Sequence[Step]) -> dict[Path, _Kept]:
    """Modes of everything that is changed, and texts of files that hold no secret by their place."""
    folder = paths.audit_backup(f"{SYSTEM_CLOCK.now():%Y%m%dT%H%M%S}")
    kept: dict[Path, _Kept] = {}
    listing = []
    listing += [f"{step.mode.found:03o} {step.mode.place}" for step in steps if step.mode is not None]
    for place in dict.fromkeys(place for step in steps for place in step.files):
        mode = stat.S_IMODE(place.stat().st_mode)
        data = place.read_bytes()
        kept[place] = _Kept(place, mode, data)
        listing.append(f"{mode:03o} {place}")
        if place != paths.env_file:  # secrets stay where they are
            write_private(folder / place.name, data)
    write_private(folder / "modes.txt", "\n".join(listing) + "\n")
    return kept


def _restore(kept: _Kept) -> None:
    write_private(kept.place, kept.data, mode=kept.mode)
