"""What is stored where, and what of it counts: names and dates, never values."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from gateway.credentials.environment import OWN, WRITTEN_BACK, Origin, effective_name, is_setting, origins, prefix_of
from gateway.credentials.vault import open_vault
from shared.config.envfile import read_env
from shared.config.paths import Paths
from shared.obs.redact import HIDDEN, redact


@dataclass(frozen=True, slots=True)
class Row:
    """One stored value.

    Attributes:
        version: 0 for ``.env``, which keeps none.
        effective: the ``.env`` name it counts under; empty for a sign-in.
        shadowed_by: what goes before it; empty when it counts.
        problem: why it cannot be opened; empty when it can.
    """

    place: Literal["vault", ".env"]
    tenant: str
    name: str
    version: int = 0
    versions: int = 0
    key_id: str = ""
    written_at: datetime | None = None
    effective: str = ""
    shadowed_by: str = ""
    problem: str = ""

    @property
    def counts(self) -> str:
        """For a person: whether this is the value in use."""
        if self.problem:
            return f"PROBLEM: {self.problem}"
        if self.shadowed_by:
            return f"no: {self.shadowed_by} goes first"
        if self.effective.endswith(WRITTEN_BACK):
            return "shown only: see clawgate auth status"
        return "yes" if self.effective in {"", self.name} else f"yes, as {self.effective}"

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "place": self.place,
            "tenant": self.tenant,
            "name": self.name,
            "version": self.version or None,
            "versions": self.versions or None,
            "key": self.key_id or None,
            "written_at": self.written_at.isoformat(timespec="seconds") if self.written_at else None,
            "counts_as": self.effective or None,
            "shadowed_by": self.shadowed_by or None,
            "problem": self.problem or None,
        }


def inventory(paths: Paths, tenant: str | None = None) -> list[Row]:
    """All that is stored, the vault first; of ``.env`` what looks like a secret or has to do with the vault.

    Args:
        paths: of the installation.
        tenant: only its entries of the vault; ``.env`` is the gateway's.

    Raises:
        ConfigError: ``.env`` is not private or has a name that must not be set.
    """
    entries = asyncio.run(open_vault(paths).names())
    file = read_env(paths.env_file)
    sealed = [(entry.tenant, entry.name) for entry in entries]
    judged: dict[tuple[str, str, str], Origin] = {
        (found.place, found.tenant, found.name): found
        for found in origins([key for key in sealed if is_setting(key[1])], file)
    }
    rows = [
        Row(
            "vault",
            entry.tenant,
            entry.name,
            entry.version,
            entry.versions,
            entry.key_id,
            entry.written_at,
            problem=entry.problem,
        )
        for entry in entries
        if tenant in {None, entry.tenant}
    ]
    if tenant in {None, OWN}:
        meant = {effective_name(*key) for key in sealed}
        rows += [Row(".env", OWN, name) for name in file if name in meant or redact("x", key=name) == HIDDEN]
    return [_judged(row, judged) for row in rows]


def _judged(row: Row, judged: Mapping[tuple[str, str, str], Origin]) -> Row:
    found = judged.get((row.place, row.tenant, row.name))
    return row if found is None else replace(row, effective=found.effective, shadowed_by=found.shadowed_by)


def who_reads(paths: Paths, tenant: str, name: str) -> str:
    """What a person does so that a secret just stored is used; says so when nothing will read it."""
    from gateway.settings import TENANT_NAMES, Settings

    policy = Settings.policy_of(paths)
    owners = policy.tenants
    effective = effective_name(tenant, name)
    if tenant != OWN and tenant not in owners:
        return f"But there is no tenant {tenant!r} (there are {', '.join(owners)}), so nothing reads it"
    for owner in owners:
        plain = effective.removeprefix(prefix_of(owner))
        if plain in TENANT_NAMES and (plain != effective or owner == "nanoclaw"):
            return f"It counts from the next start of {owner}: clawgate restart {owner}"
    return f"It counts from the gateway's next start, if {effective} is a name it reads: clawgate restart gateway"
