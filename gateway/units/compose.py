"""What Compose needs of the machine: folders that belong to the containers' user, and the variables of compose.yaml."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.config.paths import Paths
from shared.errors import ConfigError, Denied, Unavailable


@dataclass(frozen=True, slots=True)
class ComposeSetup:
    """How the containers run.

    Attributes:
        paths: state, and a runtime directory that survives a reboot, since containers start in no order then.
        uid: user of all containers; never root.
        gid: its group.
        engine: the container engine's socket.
        tenants: names of the tenants of compose.yaml.
        zone: the owner's time zone.
    """

    paths: Paths
    uid: int
    gid: int
    engine: Path
    tenants: tuple[str, ...]
    zone: str

    def variables(self) -> Iterator[str]:
        """Lines of Compose's ``.env``.

        Raises:
            Unavailable: there is no engine's socket.
        """
        try:
            engine_group = self.engine.stat().st_gid
        except OSError as error:
            raise Unavailable(f"{self.engine}: {error.strerror}; is Docker installed?", code="engine.down") from None
        yield f"CLAWGATE_STATE={self.paths.state}"
        yield f"CLAWGATE_RUNTIME={self.paths.runtime}"
        yield f"CLAWGATE_UID={self.uid}"
        yield f"CLAWGATE_GID={self.gid}"
        yield f"DOCKER_GID={engine_group}"
        yield f"DOCKER_SOCKET={self.engine}"
        yield f"TZ={self.zone}"

    def folders(self) -> Iterator[tuple[Path, int]]:
        """Every folder with its mode."""
        paths = self.paths
        yield paths.state, 0o711
        yield paths.gateway, 0o700
        yield paths.gateway / "home", 0o700
        yield paths.policies, 0o755
        yield paths.runtime, 0o711
        yield paths.runtime / "e", 0o700
        for tenant in self.tenants:
            yield paths.tenant(tenant), 0o750
            yield paths.tenant_socket_dir(tenant).parent, 0o711
            yield paths.tenant_socket_dir(tenant), 0o750
            yield paths.control_socket(tenant).parent.parent, 0o711
            yield paths.control_socket(tenant).parent, 0o700
        # Mounted on its own: the engine would make a missing one as root's, and the gateway could not write there.
        if "openclaw" in self.tenants:
            yield paths.token_states("openclaw"), 0o750

    def prepare(self) -> None:
        """Make the folders and give them to the containers' user; blocks.

        Raises:
            ConfigError: the user is root, or a folder belongs to somebody else and we are not root.
            Denied: a folder may not be made by us.
        """
        if self.uid == 0:
            raise ConfigError(
                "the containers' user is never root: give --uid and --gid of an ordinary user", code="compose.user"
            )
        for folder, mode in self.folders():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(mode)
                if os.geteuid() == 0:
                    os.chown(folder, self.uid, self.gid)
            except PermissionError:
                raise Denied(
                    f"{folder} may not be made by this user: run this with sudo", code="compose.root"
                ) from None
            if folder.stat().st_uid != self.uid:
                raise ConfigError(
                    f"{folder} belongs to user {folder.stat().st_uid}, not to the containers' {self.uid}: use sudo",
                    code="compose.owner",
                )
