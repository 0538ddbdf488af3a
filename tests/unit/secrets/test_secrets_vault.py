"""The vault: what is stored comes back, and nothing else does."""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from shared.clock import FakeClock
from shared.errors import ConfigError, Invalid, Unavailable
from shared.secrets import vault as vault_module
from shared.secrets.cipher import Damaged
from shared.secrets.keyring import KeyMissing
from shared.secrets.vault import MAX_BYTES, Vault

PLAIN = b"canary-plain-text-0123456789"


def sealed(folder: Path, tenant: str, name: str) -> Path:
    return folder / "sealed" / tenant / name


def key_line(key_id: str, fill: bytes = b"k") -> str:
    return f"{key_id}:{base64.b64encode(fill * 32).decode()}"


async def test_a_value_comes_back_and_is_nowhere_in_plain(tmp_path: Path) -> None:
    vault = Vault.at(tmp_path / "vault")
    assert await vault.get("nanoclaw", "codex") is None
    assert not (tmp_path / "vault").exists(), "asking makes nothing"
    await vault.put("nanoclaw", "codex", PLAIN)
    assert await vault.get("nanoclaw", "codex") == PLAIN
    assert await vault.get("openclaw", "codex") is None
    for path in (tmp_path / "vault").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
        if path.is_file():
            assert PLAIN not in path.read_bytes()
            assert base64.b64encode(PLAIN)[:20] not in path.read_bytes()


async def test_the_last_versions_are_kept_and_numbered_on_after_removal(tmp_path: Path) -> None:
    vault = Vault.at(tmp_path)
    for number in range(8):
        await vault.put("a", "b", b"%d" % number)
    assert sorted(int(path.name) for path in sealed(tmp_path, "a", "b").iterdir()) == [4, 5, 6, 7, 8]
    (entry,) = await vault.names("a")
    assert (entry.version, entry.versions, entry.problem) == (8, 5, "")
    old = (sealed(tmp_path, "a", "b") / "8").read_bytes()
    assert await vault.remove("a", "b")
    assert not await vault.remove("a", "b")
    assert await vault.get("a", "b") is None
    assert await vault.names() == []
    (sealed(tmp_path, "a", "b") / "8").write_bytes(old)
    assert await vault.get("a", "b") is None, "a removed value put back is not the current one"
    await vault.put("a", "b", b"new")
    assert await vault.get("a", "b") == b"new"


@pytest.mark.parametrize("target", [("other", "b", "1"), ("a", "c", "1"), ("a", "b", "2")])
async def test_a_moved_file_is_refused(tmp_path: Path, target: tuple[str, str, str]) -> None:
    vault = Vault.at(tmp_path)
    await vault.put("a", "b", PLAIN)
    goal = tmp_path.joinpath("sealed", *target)
    goal.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(sealed(tmp_path, "a", "b") / "1", goal)
    with pytest.raises(Damaged, match="another place"):
        await vault.get(target[0], target[1])


async def test_swapped_and_relabelled_files_are_refused(tmp_path: Path) -> None:
    vault = Vault.at(tmp_path)
    await vault.put("a", "one", PLAIN)
    await vault.put("a", "two", b"other")
    one, two = (sealed(tmp_path, "a", name) / "1" for name in ("one", "two"))
    one.write_bytes(two.read_bytes().replace(b'"two"', b'"one"'))
    with pytest.raises(Damaged, match="changed"):
        await vault.get("a", "one")


@pytest.mark.parametrize(
    "broken", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": 1, "nonce": 5}', PLAIN]
)
async def test_a_broken_file_is_an_error_and_never_an_older_version(tmp_path: Path, broken: bytes) -> None:
    vault = Vault.at(tmp_path)
    await vault.put("a", "b", b"old")
    await vault.put("a", "b", b"new")
    (sealed(tmp_path, "a", "b") / "2").write_bytes(broken)
    with pytest.raises(Damaged) as caught:
        await vault.get("a", "b")
    assert PLAIN.decode() not in caught.value.detail
    (entry,) = await vault.names()
    assert entry.problem
    await vault.put("a", "b", b"mended")
    assert await vault.get("a", "b") == b"mended"


async def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    vault = Vault.at(tmp_path)
    await vault.put("a", "b", b"x")
    path = sealed(tmp_path, "a", "b") / "1"
    good = path.read_bytes()
    for index in range(len(good) - 1):
        path.write_bytes(good[:index] + bytes([good[index] ^ 1]) + good[index + 1 :])
        with pytest.raises((Damaged, KeyMissing)):
            await vault.get("a", "b")


async def test_a_missing_key_makes_it_unavailable_and_no_new_one_is_made(tmp_path: Path) -> None:
    vault = Vault.at(tmp_path)
    await vault.put("a", "b", PLAIN)
    (tmp_path / "keys").unlink()
    with pytest.raises(KeyMissing, match="no keys"):
        await vault.get("a", "b")
    with pytest.raises(KeyMissing):
        await vault.put("a", "c", PLAIN)
    with pytest.raises(KeyMissing):
        await vault.rotate()
    assert not (tmp_path / "keys").exists()
    stranger = Vault.at(tmp_path, environment=key_line("stranger"))
    with pytest.raises(KeyMissing, match="CLAWGATE_VAULT_KEYS has only stranger"):
        await stranger.get("a", "b")


async def test_rotation_seals_everything_anew_and_drops_the_old_key(tmp_path: Path) -> None:
    vault = Vault.at(tmp_path, clock=FakeClock())
    other = Vault.at(tmp_path)
    for name in ("one", "two"):
        for value in (b"1", b"2"):
            await vault.put("a", name, value + name.encode())
    await vault.remove("a", "two")
    old_keys = (tmp_path / "keys").read_text()
    done = await vault.rotate()
    assert (done.key_id, done.resealed, done.dropped) == ("k20260101.2", 3, ("k20260101",))
    assert not set(old_keys.splitlines()[1:]) & set((tmp_path / "keys").read_text().splitlines())
    assert await other.get("a", "one") == b"2one", "another process sees the new ring at once"
    assert await other.get("a", "two") is None
    assert {entry.key_id for entry in await vault.names()} == {"k20260101.2"}


async def test_a_rotation_that_fails_half_way_leaves_everything_readable(tmp_path: Path) -> None:
    vault = Vault.at(tmp_path)
    for name in ("one", "two", "zzz"):
        await vault.put("a", name, PLAIN)
    good = (sealed(tmp_path, "a", "zzz") / "1").read_bytes()
    (sealed(tmp_path, "a", "zzz") / "1").write_bytes(b"{}")
    with pytest.raises(Damaged):
        await vault.rotate()
    (sealed(tmp_path, "a", "zzz") / "1").write_bytes(good)
    assert [await vault.get("a", name) for name in ("one", "two", "zzz")] == [PLAIN] * 3
    await vault.rotate()
    assert [await vault.get("a", name) for name in ("one", "two", "zzz")] == [PLAIN] * 3
    assert len([line for line in (tmp_path / "keys").read_text().splitlines() if not line.startswith("#")]) == 1


async def test_keys_from_the_environment_and_from_systemd(tmp_path: Path) -> None:
    folder = tmp_path / "vault"
    first = Vault.at(folder, environment=key_line("k1"))
    await first.put("a", "b", PLAIN)
    assert not (folder / "keys").exists()
    both = Vault.at(folder, environment=f"{key_line('k2', b'n')},{key_line('k1')}")
    assert await both.get("a", "b") == PLAIN
    done = await both.rotate()
    assert (done.key_id, done.resealed, done.dropped) == ("k2", 1, ())
    (tmp_path / "creds").mkdir()
    (tmp_path / "creds" / "vault-keys").write_text(key_line("k2", b"n") + "\n")
    assert await Vault.at(folder, credentials_directory=str(tmp_path / "creds")).get("a", "b") == PLAIN
    wrong = Vault.at(folder, environment=key_line("k2", b"w"))
    with pytest.raises(Damaged, match="not the one that sealed it"):
        await wrong.get("a", "b")


@pytest.mark.parametrize(
    "text",
    ["nonsense-canary", "k1:c2hvcnQ=", f"{key_line('k1')},{key_line('k1')}", "# nothing", "k 1:" + "A" * 43 + "="],
)
async def test_bad_keys_are_refused_without_being_quoted(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await Vault.at(tmp_path, environment=text).put("a", "b", b"x")
    assert "CLAWGATE_VAULT_KEYS" in caught.value.detail
    assert "canary" not in caught.value.detail
    assert "c2hvcnQ" not in caught.value.detail


async def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    vault = Vault.at(tmp_path)
    await vault.put("a", "b", PLAIN)
    (tmp_path / "keys").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        await vault.get("a", "b")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "x" * 101, "naïve", "a\n"])
async def test_a_name_cannot_lead_elsewhere(tmp_path: Path, name: str) -> None:
    vault = Vault.at(tmp_path)
    for tenant, secret in ((name, "ok"), ("ok", name)):
        with pytest.raises(Invalid):
            await vault.put(tenant, secret, b"x")
        with pytest.raises(Invalid):
            await vault.get(tenant, secret)


async def test_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="larger"):
        await Vault.at(tmp_path).put("a", "b", bytes(MAX_BYTES + 1))


async def test_a_full_disk_keeps_the_old_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault.at(tmp_path)
    await vault.put("a", "b", b"old")

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(Unavailable, match="free some space"):
            await vault.put("a", "b", b"new")
    assert await vault.get("a", "b") == b"old"
    assert [path.name for path in sealed(tmp_path, "a", "b").iterdir()] == ["1"], "no left-over"


async def test_many_writers_in_many_processes_lose_nothing(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from shared.secrets.vault import Vault\n"
        "async def main():\n"
        "    vault = Vault.at(Path(sys.argv[1]))\n"
        "    for n in range(10): await vault.put('a', 'shared', b'x'); await vault.put('a', sys.argv[2], b'%d' % n)\n"
        "asyncio.run(main())"
    )
    root = Path(vault_module.__file__).parents[2]
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), f"w{number}"], cwd=root) for number in range(3)
    ]
    vault = Vault.at(tmp_path)
    await asyncio.gather(*(vault.put("a", "shared", b"x") for _ in range(10)))
    for child in children:
        assert await asyncio.to_thread(child.wait, 30) == 0
    entries = {entry.name: entry for entry in await vault.names()}
    assert entries["shared"].version == 40
    assert [await vault.get("a", f"w{number}") for number in range(3)] == [b"9"] * 3


async def test_what_lies_beside_the_vault_is_bound_to_its_name(tmp_path: Path) -> None:
    vault = Vault.at(tmp_path)
    sealed_text = vault.seal("a", "codex", PLAIN)
    assert PLAIN not in sealed_text
    assert vault.unseal("a", "codex", sealed_text) == PLAIN
    with pytest.raises(Damaged):
        vault.unseal("b", "codex", sealed_text)
    await vault.put("a", "codex", b"x")
    await vault.rotate()
    with pytest.raises(KeyMissing):
        vault.unseal("a", "codex", sealed_text)
