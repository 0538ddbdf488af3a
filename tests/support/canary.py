"""Searches what the product wrote, said and shows for secrets that were planted, in every spelling they may have."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

NOBODY = 65534
_HINT_CHARS = 12
_SLOTS = ("detail", "code", "context")

_READER = """
import json, os, sys
uid, pids = int(sys.argv[1]), json.loads(sys.argv[2])
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
shown, denied = {}, []
FILES = ("cmdline", "environ", "comm", "status", "stat", "maps", "smaps", "io", "limits", "mountinfo", "auxv", "stack",
         "exe", "cwd", "root", "net/unix", "net/tcp", "mem")
for pid in pids:
    names = [f"{pid}/{name}" for name in FILES]
    try:
        names += [f"{pid}/fd/{number}" for number in os.listdir(f"/proc/{pid}/fd")]
        names += [f"{pid}/task/{task}/environ" for task in os.listdir(f"/proc/{pid}/task")]
    except PermissionError:
        denied.append(f"{pid}/fd")
    except OSError:
        continue
    for name in names:
        try:
            if os.path.islink(f"/proc/{name}"):
                shown[name] = os.readlink(f"/proc/{name}")
            else:
                with open(f"/proc/{name}", "rb") as handle:
                    shown[name] = handle.read(1 << 20).decode("latin-1")
        except PermissionError:
            denied.append(name)
        except OSError:
            pass
json.dump({"uid": os.geteuid(), "shown": shown, "denied": denied}, sys.stdout)
"""


def spellings(secret: str) -> set[bytes]:
    """A secret as it is, in an address, in JSON, and in base64 at any offset."""
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode()}
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * offset + raw).rstrip(b"=")
            # What shares a character with its neighbours is left out.
            found.add(text[(offset * 8 + 5) // 6 : len(text) - bool((offset + len(raw)) % 3)])
    return found


class Hunt:
    """Looks for some secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._spellings = {secret: spellings(secret) for secret in secrets}

    def hits(self, name: str, data: bytes | str) -> list[str]:
        """Where which secrets were found, each by its first characters."""
        raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")
        return [
            f"{name}: {secret[:_HINT_CHARS]}…"
            for secret, forms in self._spellings.items()
            if any(form in raw for form in forms)
        ]

    def in_texts(self, texts: Iterable[str]) -> list[str]:
        """Among things that were said."""
        return [hit for number, text in enumerate(texts) for hit in self.hits(f"text {number}", text)]

    def in_files(self, root: Path, *, allowed: Iterable[Path] = ()) -> list[str]:
        """In all files below a folder, but for some files and folders; names count too."""
        places = tuple(allowed)
        found = []
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            found += self.hits(f"name of {name}", name)
            if path.is_file() and not any(path == place or place in path.parents for place in places):
                found += self.hits(name, path.read_bytes())
        return found

    def in_proc(self, view: ProcView) -> list[str]:
        """In what a user sees of processes."""
        return [hit for name, text in view.shown.items() for hit in self.hits(name, text.encode("latin-1"))]

    def in_error(self, error: BaseException) -> list[str]:
        """In an exception and everything chained to it, as any reporter could show it."""
        found = []
        for link in chain(error):
            shown = [str(link), repr(link), *(repr(part) for part in link.args), *(getattr(link, "__notes__", []))]
            # Attributes count: a JSON error carries the whole document, and `from None` leaves it in the context.
            shown += [repr(value) for value in (*vars(link).values(), *(getattr(link, n, "") for n in _SLOTS))]
            found += self.hits(type(link).__name__, "\n".join(shown))
        return found


def chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, its causes and contexts (hidden ones too), and the members of groups."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [
            link.__cause__,
            link.__context__,
            *(link.exceptions if isinstance(link, BaseExceptionGroup) else ()),
        ]


@dataclass(frozen=True)
class ProcView:
    """What a user sees of some processes in /proc.

    Attributes:
        uid: the user.
        shown: what could be read, by ``pid/name``.
        denied: what could not.
    """

    uid: int
    shown: dict[str, str]
    denied: frozenset[str]


def proc_as_another_user(pids: Iterable[int]) -> ProcView:
    """Read /proc of processes as a user who is neither root nor theirs; without root as ourselves, which sees more."""
    command = [sys.executable, "-c", _READER, str(NOBODY), json.dumps(list(pids))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    answer = json.loads(done.stdout)
    return ProcView(answer["uid"], answer["shown"], frozenset(answer["denied"]))


def inspected_workers(state: Path, address: str) -> dict[str, dict]:
    """What the engine at an address tells about the workers of one installation, by container id."""

    def run(*arguments: str) -> str:
        command = ["docker", "-H", address, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout

    ids = run("ps", "-q", "--filter", "name=nanoclaw-").split()
    told = {one: run("inspect", one) for one in ids}
    return {one: json.loads(text)[0] for one, text in told.items() if str(state) in text}
