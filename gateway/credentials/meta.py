"""Threads and Instagram at the gateway: which app a tenant signs in with, and what follows a renewal.

The apps are in the gateway's ``.env``. NanoClaw, whose ``.env`` this once was, has the plain names
(``THREADS_APP_ID``); any tenant has its own with its name before them (``OPENCLAW_THREADS_APP_ID``), because two
tenants use two apps and two accounts.
"""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from gateway.credentials.views import Kind, ViewProblem, write_views
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.errors import ConfigError, Conflict, Unavailable
from shared.http.client import HttpPool
from shared.oauth.instagram import InstagramOAuth, InstagramOAuthSettings
from shared.oauth.meta import MetaApp, MetaOAuth
from shared.oauth.models import Token
from shared.oauth.threads import ThreadsOAuth, ThreadsOAuthSettings
from shared.secrets.files import Secret, require_private, write_private

MetaProvider = Literal["threads", "instagram"]

REDIRECTS: Mapping[Kind, str] = {"nanoclaw": "https://localhost:3000/callback", "openclaw": "https://localhost/"}
"""Registered with Meta by the policy; another one is set with ``THREADS_REDIRECT_URI``."""

_PLAIN = re.compile(r"[A-Za-z0-9_.~+/|=-]+")
_ASSIGNMENT = re.compile(r"(?P<head>\s*(?:export\s+)?['\"]?[^=\s'\"]+['\"]?[^\S\r\n]*=[^\S\r\n]*)", re.DOTALL)
_TAIL = re.compile(r"(?P<comment>[^\S\r\n]+#[^\r\n]*)?(?P<end>\r?\n?)$")
_ATTEMPTS = 5


def env_names(tenant: str, name: str) -> tuple[str, ...]:
    """Names of a tenant's setting in ``.env``; the first that is set counts."""
    prefixed = f"{tenant.upper().replace('-', '_')}_{name}"
    return (prefixed, name) if tenant == "nanoclaw" else (prefixed,)


def setting(env: Mapping[str, str], tenant: str, name: str) -> str:
    """A tenant's setting from ``.env``; empty when it is not set."""
    return next((value for key in env_names(tenant, name) if (value := env.get(key, ""))), "")


def app_of(provider: MetaProvider, tenant: str, env: Mapping[str, str], *, kind: Kind, env_file: Path) -> MetaApp:
    """The app a tenant signs in with.

    Args:
        provider: which network.
        tenant: whose app.
        env: values of the gateway's ``.env``.
        kind: what the tenant runs; decides the usual redirect address.
        env_file: for the message.

    Raises:
        ConfigError: id or secret is missing; names the keys.
    """
    prefix = provider.upper()
    app_id, secret = (setting(env, tenant, f"{prefix}_{part}") for part in ("APP_ID", "APP_SECRET"))
    missing = [
        env_names(tenant, f"{prefix}_{part}")[-1]
        for part, value in (("APP_ID", app_id), ("APP_SECRET", secret))
        if not value
    ]
    if missing:
        raise ConfigError(
            f"{tenant} has no {provider} app: {env_file} needs {' and '.join(missing)}, from the app's page in Meta's "
            f"dashboard (the {provider.title()} app id, not the one of Facebook)",
            code="config.meta_app",
        )
    redirect = setting(env, tenant, f"{prefix}_REDIRECT_URI") or REDIRECTS[kind]
    return MetaApp(app_id, Secret(secret), redirect)


def provider_of(
    provider: MetaProvider,
    app: MetaApp,
    http: HttpPool,
    *,
    threads: ThreadsOAuthSettings | None = None,
    instagram: InstagramOAuthSettings | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> MetaOAuth:
    """The sign-in of one network for one app."""
    if provider == "threads":
        return ThreadsOAuth(threads or ThreadsOAuthSettings(), app, http, clock=clock)
    return InstagramOAuth(instagram or InstagramOAuthSettings(), app, http, clock=clock)


async def after_renewal(
    paths: Paths, tenant: str, tokens: Mapping[str, Token], *, kind: Kind, clock: Clock = SYSTEM_CLOCK
) -> list[ViewProblem]:
    """What follows a login or a renewal: NanoClaw's Threads token goes back into ``.env``, views are written.

    Call it with the new tokens stored already. It never raises for a file: what could not be written is returned.

    Args:
        paths: of the installation.
        tenant: whose.
        tokens: all of that tenant's, by provider.
        kind: what the tenant runs.
        clock: dates the views.
    """
    problems = await asyncio.to_thread(write_views, paths, tenant, tokens, kind=kind, clock=clock)
    threads = tokens.get("threads")
    if threads is not None and kind == "nanoclaw":
        name = env_names(tenant, "THREADS_ACCESS_TOKEN")
        try:
            await asyncio.to_thread(write_back, paths.env_file, name, threads.access)
        except (ConfigError, Conflict, Unavailable) as error:
            problems.append(ViewProblem(paths.env_file, error))
    return problems


def write_back(path: Path, names: tuple[str, ...], value: Secret) -> bool:
    """Set one value in ``.env``; every other byte of it stays, and so does mode 600.

    Args:
        path: the file; made when it is missing. A link stays a link.
        names: the first that the file has is set; the last one is added when it has none.
        value: one line.

    Returns:
        Whether anything changed.

    Raises:
        ConfigError: others can read the file.
        Conflict: somebody else keeps writing it.
        Unavailable: the disk is full or the file cannot be written; it is whole.
    """
    path = path.resolve()
    try:
        with _locked(path):
            for _ in range(_ATTEMPTS):
                old = _content(path)
                new = edited(old.decode("utf-8", "surrogateescape"), names, value).encode("utf-8", "surrogateescape")
                if new == old:
                    return False
                # A person's editor does not know our lock: what it saved meanwhile is read again, not overwritten.
                if _content(path) == old:
                    _replace(path, new)
                    return True
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise Unavailable(f"{path} cannot be written ({reason}); it is as it was", code="auth.env") from None
    raise Conflict(f"{path} keeps changing: close what is writing it; the new token is in the vault meanwhile")


def edited(text: str, names: tuple[str, ...], value: Secret) -> str:
    """The text of a ``.env`` with one value set; pure.

    Comments behind the value, quotes around other values, ``export``, line ends and order stay.
    """
    from dotenv.parser import parse_stream

    bindings = list(parse_stream(io.StringIO(text)))
    present = {binding.key for binding in bindings}
    name = next((name for name in names if name in present), None)
    shown = _quoted(value.reveal())
    if name is None:
        line_end = "\r\n" if "\r\n" in text else "\n"
        gap = "" if not text or text.endswith(("\n", "\r")) else line_end
        return f"{text}{gap}{names[-1]}={shown}{line_end}"
    return "".join(
        _with_value(binding.original.string, shown) if binding.key == name else binding.original.string
        for binding in bindings
    )


def _with_value(line: str, shown: str) -> str:
    head = _ASSIGNMENT.match(line)
    tail = _TAIL.search(line)
    end = tail["end"] if tail else "\n"
    if head is None:
        # A name without "=": it had no value at all.
        return f"{line.rstrip()}={shown}{end}"
    rest = line[head.end() :]
    quoted = rest[:1] in {"'", '"'}
    closed = rest.rfind(rest[0]) if quoted else 0
    comment = _TAIL.search(rest, closed + 1 if quoted and closed > 0 else 0)
    behind = (comment["comment"] or "") if comment else ""
    return f"{head['head']}{shown}{behind}{end}"


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if "\n" in value or "\r" in value:
        raise ConfigError("a value of more than one line cannot be written into .env")
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _content(path: Path) -> bytes:
    if not path.exists():
        return b""
    require_private(path)
    return path.read_bytes()


def _replace(path: Path, data: bytes) -> None:
    owner = path.stat() if path.exists() else None
    write_private(path, data)
    if owner is not None and os.geteuid() == 0 and (owner.st_uid, owner.st_gid) != (0, 0):
        os.chown(path, owner.st_uid, owner.st_gid)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = path.with_name(f"{path.name}.clawgate-lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
