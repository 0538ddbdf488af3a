"""What an operator says of backups (``policies/backup.toml``)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from shared.config.paths import Paths
from shared.config.strict import Strict
from shared.config.toml import load_policy
from shared.gatewayclient.models import Slug

_SSH = re.compile(r"(ssh://)?[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9.-]+(:[0-9]+)?[:/][A-Za-z0-9._~/-]+")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9._~/-]+")


def _remote(url: str) -> str:
    if not (_SSH.fullmatch(url) or _HTTPS.fullmatch(url) or (url.startswith("/") and ".." not in url)):
        raise ValueError(
            f"{url!r} is not a remote: write git@host:path, ssh://git@host/path, https://host/path (no name or "
            "password in it), or an absolute path"
        )
    return url


class RemotePolicy(Strict):
    """One git remote.

    Attributes:
        url: where it is.
        branch: what is written; never by force.
        ssh_key_file: a deploy key; empty for the service user's own.
        known_hosts_file: the host's pinned keys; empty for the service user's own.
        user: the name that goes with the token of an HTTPS remote; most hosts take any.
    """

    url: Annotated[str, AfterValidator(_remote)]
    branch: str = Field(default="main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")
    ssh_key_file: str = Field(default="", pattern=r"^(/[^\s'\"\\]*)?$")
    known_hosts_file: str = Field(default="", pattern=r"^(/[^\s'\"\\]*)?$")
    user: str = Field(default="x-access-token", pattern=r"^[A-Za-z0-9._@+-]{1,100}$")


class AuthorPolicy(Strict):
    """Who the commits are by; shown to whoever sees the remote."""

    name: str = Field(default="Clawgate backup", pattern=r"^[^<>\n]{1,80}$")
    email: str = Field(default="backup@localhost", pattern=r"^[^<>\s]{1,120}$")


class BackupPolicy(Strict):
    """Everything in ``policies/backup.toml``.

    Attributes:
        recipients: age public keys that can open a backup, beside the installation's own.
        max_mb: largest copy of one process.
        alert_after_hours: the owner is told when the newest backup is older.
        accept_patterns_in: files, as they are named in a backup, in which something that looks like a key is no reason
            to refuse. Secrets that are in use are always one.
        author: of the commits.
        remotes: by tenant, and ``gateway``.
    """

    recipients: tuple[Annotated[str, Field(pattern=r"^age1[0-9a-z]{50,80}$")], ...] = ()
    max_mb: int = Field(default=500, ge=1, le=20_000)
    alert_after_hours: float = Field(default=26, gt=0, le=24 * 60)
    accept_patterns_in: tuple[str, ...] = ()
    author: AuthorPolicy = AuthorPolicy()
    remotes: dict[Slug, RemotePolicy] = Field(default_factory=dict)


def load_backup(paths: Paths) -> BackupPolicy:
    """The policy in force.

    Raises:
        ConfigError: names file, line and key of what is wrong.
    """
    return load_policy("backup", BackupPolicy, paths)
