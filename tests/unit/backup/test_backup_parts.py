"""The parts of a backup: what is copied and what never, what a tenant may hand over, secrets, sealing and the chest."""

import io
import os
import sqlite3
import tarfile
from contextlib import closing

import pytest

from gateway.backup.archive import Member, read_members
from gateway.backup.chest import Chest
from gateway.backup.policy import RemotePolicy
from gateway.backup.scan import Scanner, live_secrets
from gateway.backup.sealing import Sealer, open_sealed, read_identities
from shared.backup.snapshot import Selection, take_snapshot
from shared.errors import ConfigError, Denied, Invalid, NotFound, Unavailable
from shared.secrets.files import Secret, write_private

MOST = 10_000_000


def new_identity():
    from pyrage import x25519

    return x25519.Identity.generate()


@pytest.fixture
def sealer():
    return Sealer(Secret(str(new_identity())))


def make_state(root):
    (root / "groups/main/logs").mkdir(parents=True)
    (root / "groups/main/CLAUDE.md").write_text("remember")
    (root / "groups/main/logs/1.log").write_text("log")
    (root / "groups/main/.env.local").write_text("KEY=1")
    (root / "groups/main/x.token.json").write_text("{}")
    (root / "groups/main/secrets.pem").write_text("x")
    (root / "groups/main/link").symlink_to("/etc/passwd")
    (root / "groups/main/folder-link").symlink_to("/etc")
    os.mkfifo(root / "groups/main/pipe")
    (root / "outside.txt").write_text("not chosen")
    with closing(sqlite3.connect(root / "bot.db")) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE message (text)")
        db.execute("CREATE TABLE maintenance_job (next_at)")
        db.execute("INSERT INTO message VALUES ('hello')")
        db.commit()


CHOSEN = Selection(include=("groups", "not-there"), database="bot.db")


async def test_a_copy_holds_what_is_chosen_and_nothing_secret_by_name(tmp_path):
    root = tmp_path / "state"
    make_state(root)
    file = tmp_path / "copy.tar"
    done = await take_snapshot(file, root, CHOSEN, most_bytes=MOST)
    members = {member.name: member.data for member in read_members(file)}
    assert sorted(members) == ["bot.db", "groups/main/CLAUDE.md"]
    assert done.files == 2
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_day_on_which_nothing_happened_gives_the_same_bytes(tmp_path):
    root = tmp_path / "state"
    make_state(root)
    copies = []
    for number in range(2):
        with closing(sqlite3.connect(root / "bot.db")) as db:
            db.execute("DELETE FROM maintenance_job")
            db.execute("INSERT INTO maintenance_job VALUES (?)", (number,))
            db.commit()
        file = tmp_path / f"{number}.tar"
        await take_snapshot(file, root, CHOSEN, most_bytes=MOST)
        copies.append(file.read_bytes())
    assert copies[0] == copies[1]
    with closing(sqlite3.connect(root / "bot.db")) as db:
        assert db.execute("SELECT count(*) FROM maintenance_job").fetchone() == (1,)
        db.execute("INSERT INTO message VALUES ('more')")
        db.commit()
    await take_snapshot(tmp_path / "3.tar", root, CHOSEN, most_bytes=MOST)
    assert (tmp_path / "3.tar").read_bytes() != copies[0]


async def test_a_copy_that_grows_too_large_is_refused_and_a_broken_database_is_said(tmp_path):
    root = tmp_path / "state"
    make_state(root)
    with pytest.raises(Unavailable, match="clean up"):
        await take_snapshot(tmp_path / "c.tar", root, CHOSEN, most_bytes=4)
    (root / "bot.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Unavailable, match="copy for the backup"):
        await take_snapshot(tmp_path / "c.tar", root, CHOSEN, most_bytes=MOST)


def a_tar(tmp_path, *entries):
    file = tmp_path / "given.tar"
    with tarfile.open(file, "w") as tar:
        for name, kind in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, 1 if kind == tarfile.REGTYPE else 0
            info.linkname = "/etc/passwd"
            tar.addfile(info, io.BytesIO(b"x"))
    return file


@pytest.mark.parametrize(
    "entries",
    [
        [("../up", tarfile.REGTYPE)],
        [("/abs", tarfile.REGTYPE)],
        [("a/../../b", tarfile.REGTYPE)],
        [("link", tarfile.SYMTYPE)],
        [("hard", tarfile.LNKTYPE)],
        [("device", tarfile.CHRTYPE)],
        [("twice", tarfile.REGTYPE), ("twice", tarfile.REGTYPE)],
        [("x" * 2000, tarfile.REGTYPE)],
    ],
)
def test_what_a_tenant_may_not_hand_over(tmp_path, entries):
    with pytest.raises(Invalid):
        list(read_members(a_tar(tmp_path, *entries)))


@pytest.mark.parametrize("cut", [0, 100, 700])
async def test_half_a_copy_is_refused(tmp_path, cut):
    root = tmp_path / "state"
    make_state(root)
    file = tmp_path / "copy.tar"
    await take_snapshot(file, root, CHOSEN, most_bytes=MOST)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(Invalid):
        list(read_members(file))


def test_secrets_in_use_are_found_wherever_they_lie():
    env = {"DISCORD_BOT_TOKEN": "live-discord-token-1", "TZ": "Asia/Seoul-and-longer", "SHORT_TOKEN": "abc"}
    stored = {
        (
            "nanoclaw",
            "threads",
        ): b'{"access_token": "live-threads-token-1", "user": {"refresh_token": "live-refresh"}}',
        ("gateway", "backup-identity"): b"AGE-IDENTITY-OF-OURS",
    }
    live = live_secrets(env, stored)
    scanner = Scanner(live)
    for value in ("live-discord-token-1", "live-threads-token-1", "live-refresh", "AGE-IDENTITY-OF-OURS"):
        with pytest.raises(Denied, match="in use") as refused:
            scanner.check("groups/a.md", f"x {value} y".encode())
        assert value not in refused.value.detail
    scanner.check("groups/a.md", b"Asia/Seoul-and-longer abc")


@pytest.mark.parametrize(
    "text",
    ["sk-ant-api03-abcdefgh", "ghp_0123456789abcdefXYZ", "-----BEGIN OPENSSH PRIVATE KEY-----", "xoxb-1234567890-abc"],
)
def test_the_shape_of_a_secret_is_refused_unless_accepted(text):
    with pytest.raises(Denied, match="looks like"):
        Scanner({}).check("nanoclaw.db", text.encode())
    Scanner({}, ["nanoclaw.db"]).check("nanoclaw.db", text.encode())
    with pytest.raises(Denied, match="in use"):
        Scanner({"KEY": text}, ["*"]).check("nanoclaw.db", text.encode())


def test_sealed_for_both_keys_named_without_telling(sealer):
    mine = new_identity()
    both = Sealer(Secret(str(new_identity())), [str(mine.to_public())])
    sealed = both.seal(b"hello")
    assert sealed != both.seal(b"hello")
    assert both.open(sealed) == open_sealed(sealed, [mine]) == b"hello"
    assert both.name_of(b"hello") == both.name_of(b"hello") != sealer.name_of(b"hello")
    for wrong in (sealed[:-1], b"junk", sealer.seal(b"hello")):
        with pytest.raises(Invalid):
            open_sealed(wrong, [mine])


def test_an_identity_file_has_to_be_private(tmp_path):
    file = tmp_path / "key"
    write_private(file, f"# public key: x\n{new_identity()}\n")
    assert len(read_identities(file)) == 1
    file.chmod(0o644)
    with pytest.raises(ConfigError):
        read_identities(file)
    write_private(file, "# nothing\n")
    with pytest.raises(Invalid, match="no age key"):
        read_identities(file)


def fill(folder, sealer, **files):
    folder.mkdir(exist_ok=True)
    members = [Member(name.replace("_", "/"), 0o644, data.encode()) for name, data in files.items()]
    return Chest(folder).put("nanoclaw", members, sealer)


def listing(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_has_not_changed_is_not_written_again_and_what_is_gone_goes(tmp_path, sealer):
    fill(tmp_path / "c", sealer, a_b="zebra", c="quagga", d="quagga")
    first = listing(tmp_path / "c")
    fill(tmp_path / "c", sealer, a_b="zebra", c="quagga", d="quagga")
    assert listing(tmp_path / "c") == first
    assert not any(word in b"".join(first.values()) for word in (b"zebra", b"quagga", b"a/b"))
    fill(tmp_path / "c", sealer, c="three", d="quagga")
    assert len([name for name in listing(tmp_path / "c") if name.startswith("objects/")]) == 2
    chest = Chest(tmp_path / "c")
    files = {name: data for name, _, data in chest.files(chest.manifest(sealer.open, sealer), sealer.open, sealer)}
    assert files == {"c": b"three", "d": b"quagga"}


def test_what_somebody_else_put_there_is_noticed(tmp_path, sealer):
    """Anybody can encrypt for a public key; only the installation can name what it wrote."""
    forger = Sealer(Secret(str(new_identity())), [str(sealer._own.to_public())])
    fill(tmp_path / "c", forger, a="planted")
    chest = Chest(tmp_path / "c")
    assert chest.manifest(sealer.open).files["a"].size == 7
    with pytest.raises(Invalid, match="not written by this installation"):
        chest.manifest(sealer.open, sealer)


def test_a_damaged_or_missing_file_is_named(tmp_path, sealer):
    manifest = fill(tmp_path / "c", sealer, a="one", b="two")
    chest = Chest(tmp_path / "c")
    place = tmp_path / "c/objects" / manifest.files["a"].object[:2] / manifest.files["a"].object
    place.write_bytes(sealer.seal(b"other"))
    with pytest.raises(Invalid, match="a is not what was backed up"):
        list(chest.files(manifest, sealer.open))
    place.unlink()
    with pytest.raises(NotFound, match="incomplete"):
        list(chest.files(manifest, sealer.open))
    with pytest.raises(NotFound):
        Chest(tmp_path).manifest(sealer.open)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pw@host/x",
        "ext::sh -c id",
        "file:///x",
        "--upload-pack=id",
        "git@host:a b",
        "/a/../b",
        "-x@h:y",
        "",
    ],
)
def test_remotes_that_are_none(url):
    with pytest.raises(ValueError, match=r"."):
        RemotePolicy(url=url)


def test_another_operators_key_seals_everything_again(tmp_path):
    own, lost, new = Secret(str(new_identity())), new_identity(), new_identity()
    members = [Member("a.txt", 0o600, b"hello"), Member("b.txt", 0o600, b"world")]
    chest = Chest(tmp_path)

    def opened_by(key):
        return lambda sealed: open_sealed(sealed, [key])

    def all_of(key):
        return [data for _, _, data in chest.files(chest.manifest(opened_by(key)), opened_by(key))]

    chest.put("t", members, Sealer(own, [str(lost.to_public())]))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    chest.put("t", members, Sealer(own, [str(lost.to_public())]))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    chest.put("t", members, Sealer(own, [str(new.to_public())]))
    assert all_of(new) == [b"hello", b"world"]
    with pytest.raises(Invalid):
        all_of(lost)
