"""What a process was handed by whoever started it: a key on an inherited descriptor, a log level."""

from __future__ import annotations

import os
import socket
from importlib import metadata
from pathlib import Path

from shared.errors import ConfigError, Unavailable
from shared.secrets.files import Secret

KEY_DESCRIPTOR = "CLAWGATE_TENANT_KEY_FD"
KEY_SOCKET = "CLAWGATE_TENANT_KEY_SOCKET"


def tenant_key() -> Secret:
    """The key that opens the gateway's socket, read once.

    The supervisor hands it over on an inherited descriptor, a service manager in the credential directory, and in a
    container of our own the gateway's key socket is asked. It never passes through the environment or the command
    line, so that a command the tenant runs cannot see it.

    Raises:
        ConfigError: the process was started by hand instead of by the supervisor, a service unit or Compose.
        Unavailable: the gateway does not give a key; it may not be up yet.
    """
    descriptor = os.environ.pop(KEY_DESCRIPTOR, None)
    if descriptor is not None:
        with os.fdopen(int(descriptor), "rb") as pipe:
            return Secret(pipe.read().decode().strip())
    if giver := os.environ.get(KEY_SOCKET):
        return _key_from(giver)
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if directory and (path := Path(directory) / "tenant-key").exists():
        return Secret(path.read_text(encoding="ascii").strip())
    raise ConfigError(
        "no tenant key was handed over: tenants are started by `clawgate up` or their service unit, not by hand",
        code="config.tenant_key",
    )


def is_tenants_container() -> bool:
    """Whether this is a container of a tenant's own, which sees nothing of the gateway but the tenant's sockets."""
    return bool(os.environ.get(KEY_SOCKET))


def _key_from(path: str) -> Secret:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as giver:
        giver.settimeout(10.0)
        try:
            giver.connect(path)
            key = giver.makefile("rb").read().decode()
        except OSError as error:
            raise Unavailable(f"the gateway gives no key at {path}: {error}", code="tenant.no_key") from None
    if not key:
        raise Unavailable(f"the gateway refused a key at {path}; its log says why", code="tenant.no_key")
    return Secret(key)


def log_level(default: str = "INFO") -> str:
    """``CLAWGATE_LOG_LEVEL``, else `default`."""
    return os.environ.get("CLAWGATE_LOG_LEVEL", default)


def child_environment(**extra: str) -> dict[str, str]:
    """The environment for a child process of ours: a short list of harmless names, and what is added."""
    names = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "CLAWGATE_LOG_LEVEL")
    return {name: value for name in names if (value := os.environ.get(name)) is not None} | extra


def program_version() -> str:
    """The version of this program as it is installed."""
    return metadata.version("clawgate")


def environment(name: str, default: str = "") -> str:
    """One named process option."""
    return os.environ.get(name, default)


def environment_names() -> list[str]:
    """Names that the environment sets, without their values."""
    return sorted(os.environ)
