"""What every process needs of its state: a folder, a database, a lock, sockets and ports."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from shared.doctor.rows import Row, refused
from shared.errors import GatewayError
from shared.http.unixserver import MAX_SOCKET_PATH_BYTES
from shared.lifecycle.singleton import holder_of
from shared.storage import Database

_LOOSE = stat.S_IRWXO | stat.S_IWGRP


def folder_rows(folder: Path, *, is_private: bool = True) -> Iterator[Row]:
    """Whether this user can write where a process keeps its state, and others cannot."""
    place = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        fix = f"chown it to user {os.geteuid()}"
        yield Row("state.writable", "fail", f"{place} cannot be written by this user", fix, "state.writable")
    elif is_private and folder.exists() and (mode := stat.S_IMODE(folder.stat().st_mode)) & _LOOSE:
        yield Row("state.mode", "warn", f"{folder} has mode {mode:03o}", f"chmod 700 {folder}")
    else:
        yield Row("state.writable", "ok", str(folder))


def database_rows(database: Database, path: Path, *, restore: str) -> Iterator[Row]:
    """Whether a database opens, is undamaged, and has a schema that we know.

    Args:
        database: not open.
        path: of its file.
        restore: the command that gets it back from a backup.
    """
    if not path.exists():
        yield Row("database", "ok", "made at the first start")
        return
    try:
        standing = database.examine()
    except GatewayError as error:
        yield refused("database", error, restore)
        return
    if standing.current == standing.known:
        yield Row("database", "ok", f"{path}, schema {standing.known}")
    else:
        yield Row("database", "ok", f"{path}: the next start brings schema {standing.current} to {standing.known}")


def lock_rows(path: Path, *, what: str, answers: bool) -> Iterator[Row]:
    """Whether somebody holds a process's lock who is not that process, well and answering."""
    holder = holder_of(path)
    if holder is None or answers:
        yield Row("lock", "ok", f"{what} runs as process {holder}" if holder else f"{what}: no other instance runs")
    else:
        yield Row(
            "lock",
            "fail",
            f"{what} is already running as process {holder} (lock {path}), and does not answer",
            f"look at its log; then: kill {holder}",
            "config.second_instance",
        )


def socket_rows(*paths: Path) -> Iterator[Row]:
    """Whether the system can take these socket paths."""
    longest = max(paths, key=lambda path: len(os.fsencode(path)))
    if (length := len(os.fsencode(longest))) > MAX_SOCKET_PATH_BYTES:
        detail = f"{longest} has {length} bytes; a socket's path ends at {MAX_SOCKET_PATH_BYTES}"
        yield Row("sockets", "fail", detail, "set CLAWGATE_RUNTIME to a shorter folder", "config.socket_path")
    else:
        yield Row("sockets", "ok", f"longest path: {length} of {MAX_SOCKET_PATH_BYTES} bytes")


def port_rows(host: str, port: int, *, serves: str, setting: str) -> Iterator[Row]:
    """Whether a port can be taken.

    Args:
        host: address.
        port: 0 takes any free one.
        serves: how our own process that has it is known; empty when it does not run.
        setting: which setting names the port.
    """
    if serves:
        yield Row("port", "ok", serves)
        return
    if problem := port_problem(host, port):
        fix = f"stop what holds it (sudo ss -ltnp 'sport = :{port}'), or set {setting}"
        yield Row("port", "fail", f"{host}:{port} cannot be taken: {problem}", fix, "config.port_in_use")
        return
    yield Row("port", "ok", f"{host}:{port} is free")


def port_problem(host: str, port: int) -> str:
    """Why a port cannot be taken right now; empty when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""
