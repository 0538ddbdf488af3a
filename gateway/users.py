"""Which user of the machine a tenant runs as."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass

from gateway.handover import hand_over
from shared.config.paths import Paths
from shared.errors import ConfigError

_LONGEST_NAME = 31


@dataclass(frozen=True, slots=True)
class ServiceUser:
    """A user and its group, by number."""

    uid: int
    gid: int


def user_name_of(tenant: str) -> str:
    """The name of a tenant's user where the policy names none.

    Raises:
        ConfigError: the tenant's name is too long for a user's.
    """
    name = f"clawgate-{tenant}"
    if len(name) > _LONGEST_NAME:
        raise ConfigError(
            f"the tenant {tenant} needs a user {name}, longer than {_LONGEST_NAME} letters: choose a shorter name",
            code="config.user",
        )
    return name


def service_user(tenant: str, wanted: str) -> ServiceUser | None:
    """The user a tenant runs as; None when it shares ours.

    Only root can give processes users of their own. A user the policy names must exist; the usual one is used if it
    does.

    Args:
        tenant: whose.
        wanted: from the policy: a name, or ``UID:GID``.

    Raises:
        ConfigError: the policy names a user that does not exist, or root.
    """
    if os.geteuid() != 0:
        return None
    if ":" in wanted:
        uid, _, gid = wanted.partition(":")
        return _ordinary(tenant, ServiceUser(int(uid), int(gid)))
    try:
        known = pwd.getpwnam(wanted or user_name_of(tenant))
    except KeyError:
        if not wanted:
            return None
        raise ConfigError(
            f"tenants.{tenant}.user: this machine has no user {wanted!r}. Run: useradd --system {wanted}",
            code="config.user",
        ) from None
    return _ordinary(tenant, ServiceUser(known.pw_uid, known.pw_gid))


def _ordinary(tenant: str, user: ServiceUser) -> ServiceUser:
    if user.uid == 0:
        raise ConfigError(f"tenants.{tenant}.user: a tenant never runs as root", code="config.user")
    return user


def give_folders(paths: Paths, tenant: str, user: ServiceUser | None) -> None:
    """Make a tenant's folders for its own user, so that nobody else of the machine comes in.

    What root left inside, as when all ran as root before, is handed over too; links are not followed. Blocks.
    """
    paths.state.mkdir(parents=True, exist_ok=True, mode=0o711)
    above = [paths.tenant_socket_dir(tenant).parent, paths.control_socket(tenant).parent.parent]
    for place in above:
        place.mkdir(parents=True, exist_ok=True)
    for place in (paths.state, paths.runtime, *above) if user is not None else ():
        place.chmod(place.stat().st_mode & 0o777 | 0o111)  # to be walked through, whatever our umask is
    for place, mode in ((paths.tenant(tenant), 0o750), (paths.control_socket(tenant).parent, 0o700)):
        place.mkdir(parents=True, exist_ok=True, mode=mode)
        if user is not None:
            place.chmod(mode)
            if (top := place.lstat()).st_uid != user.uid or top.st_gid != user.gid:
                hand_over(place.parent, (place.name,), user.uid, user.gid)
    sockets = paths.tenant_socket_dir(tenant)
    sockets.mkdir(parents=True, exist_ok=True, mode=0o750)
    if user is not None:
        os.chown(sockets, 0, user.gid)
        sockets.chmod(0o750)
