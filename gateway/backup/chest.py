"""How a backup lies in a repository: one sealed file for each content, a sealed manifest, and a note for a stranger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from gateway.backup.archive import Member, safe_name
from gateway.backup.models import FORMAT, Manifest, StoredFile
from gateway.backup.sealing import Sealer
from shared.errors import Invalid, NotFound
from shared.secrets.files import write_private

_OBJECTS, _MANIFEST, _STATE, _NOTE = "objects", "manifest.age", "state.json", "README.md"
_README = """\
# An encrypted backup

Written by Clawgate. Every file is encrypted with age; nothing here says what it is. To restore it you need one of the
private keys it was encrypted for:

    clawgate backup restore TENANT --from THIS_REPOSITORY --identity KEY_FILE --to EMPTY_FOLDER
"""

Open = Callable[[bytes], bytes]


class Chest:
    """The files of one repository's working copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, tenant: str, members: Iterable[Member], sealer: Sealer) -> Manifest:
        """Make the folder hold exactly these files; what is there unchanged is not sealed again. Blocks.

        When other keys than before are to open it, all of it is sealed again: a lost key is then of no use for what is
        there, and a new one opens all.
        """
        anew = f'"openers": "{sealer.openers}"' not in self._read(_STATE, b"").decode(errors="replace")
        objects = self.folder / _OBJECTS
        objects.mkdir(exist_ok=True, mode=0o700)
        files: dict[str, StoredFile] = {}
        for member in members:
            name = sealer.name_of(member.data)
            place = objects / name[:2] / name
            if anew or not place.exists():
                place.parent.mkdir(exist_ok=True, mode=0o700)
                write_private(place, sealer.seal(member.data))
            digest = hashlib.sha256(member.data).hexdigest()
            files[member.name] = StoredFile(object=name, sha256=digest, size=len(member.data), mode=member.mode)
        kept = {stored.object for stored in files.values()}
        for place in list(objects.glob("*/*")):
            if place.name not in kept:
                place.unlink()
                with suppress(OSError):  # others are in it
                    place.parent.rmdir()
        manifest = Manifest(tenant=tenant, files=dict(sorted(files.items())))
        data = manifest.model_dump_json().encode()
        state = json.dumps({"format": FORMAT, "manifest": sealer.name_of(data), "openers": sealer.openers}) + "\n"
        if self._read(_STATE, b"") != state.encode():
            write_private(self.folder / _MANIFEST, sealer.seal(data))
            write_private(self.folder / _STATE, state)
        if self._read(_NOTE, b"") != _README.encode():
            write_private(self.folder / _NOTE, _README)
        return manifest

    def manifest(self, opened: Open, sealer: Sealer | None = None) -> Manifest:
        """What the backup consists of.

        Args:
            opened: decrypts.
            sealer: the installation that wrote it, which knows its own work from somebody else's.

        Raises:
            NotFound: there is no backup in the folder.
            Invalid: it cannot be decrypted, is damaged, or was written by somebody else.
        """
        data = opened(self._read(_MANIFEST))
        try:
            manifest = Manifest.model_validate_json(data)
        except ValidationError:
            raise Invalid("the backup's manifest cannot be read", code="backup.damaged") from None
        if manifest.format != FORMAT:
            raise Invalid(f"the backup has format {manifest.format}, we know {FORMAT}", code="backup.format")
        if sealer is not None and sealer.name_of(data) not in self._read(_STATE).decode(errors="replace"):
            raise Invalid("the backup's manifest was not written by this installation", code="backup.foreign")
        return manifest

    def files(self, manifest: Manifest, opened: Open, sealer: Sealer | None = None) -> Iterator[tuple[str, int, bytes]]:
        """Name, mode and content of every file; raises as `manifest` does."""
        for name, stored in manifest.files.items():
            if not stored.object.isalnum():
                raise Invalid("the backup's manifest names no sealed file", code="backup.damaged")
            data = opened(self._read(f"{_OBJECTS}/{stored.object[:2]}/{stored.object}"))
            if hashlib.sha256(data).hexdigest() != stored.sha256:
                raise Invalid(f"{name} is not what was backed up", code="backup.damaged")
            if sealer is not None and sealer.name_of(data) != stored.object:
                raise Invalid(f"{name} was not written by this installation", code="backup.foreign")
            yield safe_name(name), stored.mode & 0o777, data

    def _read(self, name: str, default: bytes | None = None) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            if default is not None:
                return default
            raise NotFound(f"the backup has no {name}: it is empty or incomplete", code="backup.none") from None
