"""What keeps credentials at rest; the vault is one. Everything of it is sealed, also what lies beside it."""

from __future__ import annotations

from typing import Protocol


class CredentialStore(Protocol):
    """Bytes by tenant and name."""

    async def get(self, tenant: str, name: str) -> bytes | None:
        """What was put last; None when there is nothing."""
        ...

    async def put(self, tenant: str, name: str, data: bytes) -> None:
        """Replace it, durably and in one step: after a failure the old value is still there."""
        ...

    async def delete(self, tenant: str, name: str) -> None:
        """Forget it; what does not exist is forgotten already."""
        ...

    def seal(self, tenant: str, name: str, data: bytes) -> bytes:
        """Encrypt something that lies beside the store: a journal. May read the key's file."""
        ...

    def unseal(self, tenant: str, name: str, sealed: bytes) -> bytes:
        """The reverse of `seal`."""
        ...
