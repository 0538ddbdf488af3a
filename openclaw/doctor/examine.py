"""Examinations of an installation: with the code of a start, so that none is green when a start would refuse."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from openclaw.config.issues import told
from openclaw.config.snapshot import Checked, Source
from shared.config.paths import Paths
from shared.errors import GatewayError, Invalid, Unavailable
from shared.lifecycle.control import call

Level = Literal["ok", "note", "warn", "fail"]
"""``fail``: a start refuses, or what runs is not what is configured · ``warn``: works, not as meant · ``note``."""


@dataclass(frozen=True, slots=True)
class Row:
    """One examination's result.

    Attributes:
        id: stable.
        fix: what a person may do; empty when there is nothing to do.
    """

    id: str
    level: Level
    detail: str
    fix: str = ""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"id": self.id, "level": self.level, "detail": self.detail, "fix": self.fix or None}


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined.

    Attributes:
        checked: the configuration as a start would take it.
        running: the running tenant's own status; None when it is not running.
    """

    paths: Paths
    tenant: str
    checked: Checked
    running: dict[str, Any] | None

    @classmethod
    def of(cls, paths: Paths, tenant: str) -> Patient:
        """Look once."""
        try:
            running = call(paths.control_socket(tenant), "status")
        except Unavailable:
            running = None
        return cls(paths, tenant, Source.of(paths, tenant).check(), running)

    @property
    def folder(self) -> Path:
        """The tenant's state."""
        return self.paths.tenant(self.tenant)


def _config(patient: Patient) -> Iterator[Row]:
    checked = patient.checked
    if checked.snapshot is None:
        for issue in checked.issues:
            yield Row("config.invalid", "fail", told([issue]), "openclaw config unset PATH, or edit the named line")
        return
    known = "valid" if checked.document.exists else "not there: the policy's values hold"
    yield Row("config.valid", "ok", f"{checked.document.path}: {known}")
    for issue in checked.snapshot.warnings():
        yield Row("config.unused", "note", issue.told(), "it may stay")
    for decision in checked.snapshot.decisions:
        if decision.reason and decision.wanted is not None and decision.decided_by.startswith("policies/"):
            detail = f"{decision.path} is not what openclaw.json asks for: {decision.reason}"
            yield Row("config.ceiling", "note", detail, f"openclaw config get {decision.path} --effective")


def _pending(patient: Patient) -> Iterator[Row]:
    state = (patient.running or {}).get("config")
    if state is None:
        return
    if state["state"] == "pending-invalid":
        what = "; ".join(f"{issue['path']}: {issue['message']}" for issue in state["issues"])
        yield Row("config.pending", "fail", f"pending invalid, the last good one is in force: {what}", "mend the file")
    if state["waitsForRestart"]:
        waits = ", ".join(state["waitsForRestart"])
        yield Row("config.restart", "warn", f"changed and not in force yet: {waits}", "clawgate restart openclaw")


def _folder(patient: Patient) -> Iterator[Row]:
    folder = patient.folder
    place = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        yield Row(
            "state.writable", "fail", f"{place} cannot be written by this user", f"chown it to user {os.geteuid()}"
        )
    elif folder.exists() and (mode := stat.S_IMODE(folder.stat().st_mode)) & (stat.S_IRWXO | stat.S_IWGRP):
        yield Row("state.mode", "warn", f"{folder} has mode {mode:03o}", f"chmod 700 {folder}")
    else:
        yield Row("state.writable", "ok", str(folder))


def _port(patient: Patient) -> Iterator[Row]:
    if patient.checked.snapshot is None:
        return
    policy = patient.checked.snapshot.policy
    if patient.running is not None:
        yield Row("port", "ok", f"serving on {patient.running['http_url']}")
        return
    family = socket.AF_INET6 if ":" in policy.bind else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((policy.bind, policy.port))
        except OSError as error:
            detail = f"{policy.bind}:{policy.port} cannot be taken: {error.strerror}"
            yield Row("port", "fail", detail, "stop what holds it, or set gateway.port")
            return
    yield Row("port", "ok", f"{policy.bind}:{policy.port} is free")


def _database(patient: Patient) -> Iterator[Row]:
    path = patient.paths.tenant_db(patient.tenant)
    if not path.exists():
        yield Row("database", "ok", "made at the first start")
        return
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        answer = str(error)
    if answer == "ok":
        yield Row("database", "ok", str(path))
    else:
        yield Row("database", "fail", f"{path}: {answer}", "restore it from a backup")


def _models(patient: Patient) -> Iterator[Row]:
    if patient.checked.snapshot is None:
        return
    from shared.providers.catalog import shipped_catalog

    agent = patient.checked.snapshot.policy.agent
    for number, ref in enumerate((agent.model, *agent.fallbacks)):
        try:
            shipped_catalog().find(ref)
        except Invalid as error:
            level: Level = "warn" if number or agent.fallbacks else "fail"
            yield Row("models", level, f"{ref}: {error.detail}", "openclaw config set agents.defaults.model …")
        else:
            yield Row("models", "ok", ref)


def _channels(patient: Patient) -> Iterator[Row]:
    if patient.running is None:
        yield Row("running", "warn", "OpenClaw is not running", "clawgate up")
        return
    yield Row("running", "ok" if patient.running["ready"] else "warn", patient.running["summary"])
    for channel in patient.running["channels"]:
        if channel["state"] == "failed":
            yield Row(
                "channels", "fail", f"{channel['name']}: {channel.get('reason', '')}", "clawgate auth, docs/discord.md"
            )


EXAMINATIONS: Final[tuple[Callable[[Patient], Iterable[Row]], ...]] = (
    _config,
    _pending,
    _folder,
    _port,
    _database,
    _models,
    _channels,
)


def examine(patient: Patient) -> list[Row]:
    """Every examination's rows, in order."""
    rows: list[Row] = []
    for examination in EXAMINATIONS:
        try:
            rows += examination(patient)
        except (GatewayError, OSError) as error:
            name = getattr(examination, "__name__", "").lstrip("_")
            rows.append(Row(name, "fail", f"could not be examined: {error}"))
    return rows
