"""A worker's folders on the host: made, checked and given to the user that the agent runs as.

Nothing is opened to everybody. Agent and tenant share a user id, so each can read and remove what the other made
(policy N16: the 1000 inside the image never appears); a gateway that is root hands its folders over to that user.
"""

from __future__ import annotations

import os
from pathlib import Path

from gateway.handover import hand_over
from gateway.workers.spec import GLOBAL_GROUP, WorkerFolders
from shared.beneath import empty_beneath
from shared.config.paths import Paths
from shared.errors import ConfigError, Denied, Invalid

_TREE_LIMIT = 20_000
_DEBUG_LOG_LIMIT_BYTES = 8 * 1024 * 1024
_MODE = 0o750
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def prepare_folders(paths: Paths, *, tenant: str, group: str, worker_id: str, uid: int, gid: int) -> WorkerFolders:
    """Make what is missing, refuse what leads elsewhere, and see to it that the agent can write where it must.

    Args:
        paths: the installation's.
        tenant: whose group it is.
        group: the group's folder name.
        worker_id: names the socket folder, which exists already.
        uid: the agent's user.
        gid: its group.

    Raises:
        Denied: a symbolic link stands where a folder of ours should be.
        ConfigError: the agent's user cannot be given the folders; says the fix.
        Invalid: the group's name is reserved.
    """
    if group == GLOBAL_GROUP:
        raise Invalid(f"the folder {GLOBAL_GROUP!r} holds the memory of all groups and has no worker of its own")
    if os.geteuid() not in {0, uid}:
        raise ConfigError(
            f"the worker's user {uid} is not ours ({os.geteuid()}) and only root may hand folders over: "
            "run gateway and tenants as one user, or start `clawgate up` as root",
            code="worker.user",
        )
    root = paths.tenant(tenant)
    folders = WorkerFolders(
        group=paths.group(tenant, group),
        logs=paths.group_logs(tenant, group),
        shared=paths.group(tenant, GLOBAL_GROUP),
        session=paths.group_session(tenant, group),
        socket=paths.worker_dir(worker_id),
    )
    paths.state.mkdir(parents=True, exist_ok=True)
    state = paths.state.resolve()
    for folder in (folders.group, folders.logs, folders.shared, folders.session):
        _make(state / folder.relative_to(paths.state), state, uid, gid)
    checked = WorkerFolders(
        group=_inside(folders.group, root),
        logs=_inside(folders.logs, root),
        shared=_inside(folders.shared, root),
        session=_inside(folders.session, root),
        socket=_inside(folders.socket, paths.worker_dir("x").parent),
    )
    for folder in (checked.group, checked.shared, checked.session):
        _give(state, folder, uid, gid)
    _open_socket_folder(checked.socket, uid, gid)
    log = paths.group_debug_log(tenant, group).relative_to(folders.session)
    empty_beneath(
        checked.session, log.parts[:-1], log.name, above_bytes=_DEBUG_LOG_LIMIT_BYTES
    )  # it is only appended to
    return checked


def _make(folder: Path, above: Path, uid: int, gid: int) -> None:
    """Like ``mkdir -p``: with our mode, for the agent's user, and by descriptor, so that no link is walked through."""
    place, parent = above, os.open(above, _FOLDER)
    try:
        for part in folder.relative_to(above).parts:
            place /= part
            made = _make_one(part, parent)
            try:
                deeper = os.open(part, _FOLDER, dir_fd=parent)
            except OSError:
                raise Denied(
                    f"{place} is a symbolic link: remove it, a folder of its own belongs there",
                    code="worker.mount_escape",
                ) from None
            os.close(parent)
            parent = deeper
            if made and os.geteuid() == 0:
                os.fchown(parent, uid, gid)
    finally:
        os.close(parent)


def _make_one(name: str, parent: int) -> bool:
    try:
        os.mkdir(name, _MODE, dir_fd=parent)
    except FileExistsError:
        return False
    return True


def _inside(path: Path, root: Path) -> Path:
    resolved, allowed = path.resolve(), root.resolve()
    if resolved == allowed or not resolved.is_relative_to(allowed):
        raise Denied(
            f"{path} leads to {resolved}, which is outside {allowed}: remove the symbolic link",
            code="worker.mount_escape",
        )
    return resolved


def _give(state: Path, folder: Path, uid: int, gid: int) -> None:
    if os.geteuid() == 0:
        hand_over(state, folder.relative_to(state).parts, uid, gid, at_most=_TREE_LIMIT)
    elif (owner := folder.stat().st_uid) != uid:
        raise ConfigError(
            f"{folder} belongs to user {owner}, and the agent runs as {uid}, which could not write there. "
            f"Run: sudo chown -R {uid}:{gid} {folder}",
            code="worker.folder_owner",
        )


def _open_socket_folder(folder: Path, uid: int, gid: int) -> None:
    """Let the agent, and no other user, pass through to its socket, which is all that says who it is."""
    if os.geteuid() != uid:
        os.chown(folder, os.geteuid(), gid)  # only root gets here
    folder.chmod(0o710 if os.geteuid() != uid else 0o700)
