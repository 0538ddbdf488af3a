"""Looks for secrets in what is about to be backed up: those in use, and what has the shape of one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from shared.errors import Denied
from shared.obs.redact import is_secret_name, looks_secret

_SHORTEST = 12
"""A shorter value may stand in any text."""


class Scanner:
    """Refuses a file that holds a secret.

    Args:
        live: secrets in use, by what they are.
        accepted: file names in which the shape of a secret is no reason.
    """

    def __init__(self, live: Mapping[str, str], accepted: Iterable[str] = ()) -> None:
        self._live = [(what, value.encode()) for what, value in live.items() if len(value) >= _SHORTEST]
        self._accepted = tuple(accepted)

    def check(self, name: str, data: bytes) -> None:
        """Look through a file.

        Raises:
            Denied: it holds one; the message names file and secret, never the value.
        """
        for what, value in self._live:
            if value in data:
                raise Denied(
                    f"{name} holds {what}, which is in use: nothing was pushed. Take it out of that file, and replace "
                    "the secret, since others may have read it there",
                    code="backup.secret",
                )
        if any(fnmatchcase(name, pattern) for pattern in self._accepted):
            return
        if looks_secret(data.decode("utf-8", errors="replace")):
            raise Denied(
                f"{name} holds something that looks like a key or token: nothing was pushed. Take it out, or accept it "
                "with accept_patterns_in in policies/backup.toml",
                code="backup.secret",
            )


def live_secrets(env: Mapping[str, str], stored: Mapping[tuple[str, str], bytes]) -> dict[str, str]:
    """Every secret of an installation, by what it is.

    Args:
        env: what ``.env`` and the vault set.
        stored: all of the vault; sign-ins in it are JSON.
    """
    found = {name: value for name, value in env.items() if is_secret_name(name)}
    for (tenant, name), data in stored.items():
        text = data.decode("utf-8", errors="replace")
        try:
            parts = dict(_strings(json.loads(text), f"{tenant}/{name}"))
        except ValueError:
            parts = {}
        found |= parts or {f"{tenant}/{name}": text}
    return found


def _strings(value: Any, place: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    """Secret strings in a sign-in, by their place."""
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str):
                if is_secret_name(name):
                    yield f"{place} {name}", item
            else:
                yield from _strings(item, place)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, place)
