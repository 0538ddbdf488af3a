import os
from pathlib import Path

import pytest

from shared.beneath import (
    append_beneath,
    empty_beneath,
    folder_beneath,
    names_beneath,
    read_beneath,
    remove_beneath,
    size_beneath,
    write_beneath,
)
from shared.errors import Denied, Invalid, NotFound
from tests.support.missing import require_root


@pytest.fixture
def root(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    return tmp_path / "root"


def test_what_is_written_is_read_back_and_counted(root):
    write_beneath(root, ("a", "b"), "f.txt", b"hello")
    write_beneath(root, ("a", "b"), "f.txt", b"again")
    assert read_beneath(root, ("a", "b"), "f.txt", 5) == b"again"
    assert names_beneath(root, ("a", "b")) == ["f.txt"]
    assert size_beneath(root, ("a", "b")) == 5
    with pytest.raises(Invalid, match="larger than 4 bytes"):
        read_beneath(root, ("a", "b"), "f.txt", 4)
    with pytest.raises(NotFound):
        read_beneath(root, ("a", "c"), "f.txt", 5)
    assert names_beneath(root, ("nothing",)) == []


@pytest.mark.parametrize("steps", [("link",), ("inner", "link")])
def test_a_link_on_the_way_is_refused_and_nothing_is_written_behind_it(root, steps):
    folder = root.joinpath(*steps[:-1])
    folder.mkdir(parents=True)
    (folder / "link").symlink_to(root.parent / "outside")
    with pytest.raises(Denied):
        write_beneath(root, steps, "new", b"x")
    with pytest.raises(Denied):
        read_beneath(root, steps, "secret", 100)
    assert size_beneath(root, steps) == 0
    remove_beneath(root, steps, "secret")
    assert sorted(entry.name for entry in (root.parent / "outside").iterdir()) == ["secret"]


def test_a_link_in_place_of_the_file_is_not_read_and_is_replaced_by_a_write(root):
    root.mkdir()
    (root / "f").symlink_to(root.parent / "outside" / "secret")
    with pytest.raises(Denied):
        read_beneath(root, (), "f", 100)
    write_beneath(root, (), "f", b"mine")
    assert (root.parent / "outside" / "secret").read_bytes() == b"secret"
    assert read_beneath(root, (), "f", 100) == b"mine"


def test_a_pipe_or_a_folder_in_place_of_a_file_does_not_block_or_confuse(root):
    root.mkdir()
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(Denied):
            read_beneath(root, (), name, 100)
    with pytest.raises(Denied):
        write_beneath(root, (), "folder", b"x")
    with pytest.raises(Denied):
        write_beneath(root, ("pipe",), "f", b"x")
    assert names_beneath(root, ()) == ["folder", "pipe"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b"])
def test_only_the_name_of_one_file_is_a_step(root, name):
    for steps, last in (((), name), ((name,), "f")):
        with pytest.raises(Invalid):
            write_beneath(root, steps, last, b"x")


def test_removing_takes_a_folder_with_all_it_holds_and_leaves_what_links_point_to(root):
    write_beneath(root, ("old", "deep"), "f", b"x")
    (root / "old" / "link").symlink_to(root.parent / "outside")
    remove_beneath(root, (), "old")
    remove_beneath(root, (), "old")
    assert names_beneath(root, ()) == []
    assert (root.parent / "outside" / "secret").exists()


@pytest.mark.parametrize("happens", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_ends_early_leaves_the_old_file_and_nothing_beside_it(root, monkeypatch, happens):
    write_beneath(root, (), "f", b"old")

    def stops(_descriptor):
        raise happens

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", stops)
        with pytest.raises((Denied, KeyboardInterrupt)):
            write_beneath(root, (), "f", b"new")
    assert names_beneath(root, ()) == ["f"]
    assert read_beneath(root, (), "f", 10) == b"old"


def test_a_root_that_is_a_file_or_a_link_is_refused_in_words(root):
    root.write_bytes(b"")
    with pytest.raises(Denied):
        write_beneath(root, (), "f", b"x")
    root.unlink()
    root.symlink_to(root.parent / "outside")
    with pytest.raises(Denied):
        write_beneath(root, (), "f", b"x")


def test_what_root_makes_belongs_to_whom_the_folder_belongs(root):
    require_root("hand files over")
    root.mkdir()
    os.chown(root, 4321, 4322)
    write_beneath(root, ("a",), "f", b"x")
    for path in (root / "a", root / "a" / "f"):
        assert (path.stat().st_uid, path.stat().st_gid) == (4321, 4322)
        assert path.stat().st_mode & 0o007 == 0


def test_no_descriptor_is_left_open(root):
    write_beneath(root, ("a",), "f", b"x")
    (root / "a" / "d").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        read_beneath(root, ("a",), "f", 10)
        with pytest.raises(Denied):
            read_beneath(root, ("a",), "d", 10)
        with pytest.raises(NotFound), folder_beneath(root, ("a", "no")):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_grows_up_to_its_limit_and_links_and_pipes_are_left_alone(tmp_path):
    (tmp_path / "logs").mkdir()
    append_beneath(tmp_path, ("logs",), "a.log", b"one ")
    append_beneath(tmp_path, ("logs",), "a.log", b"two", limit_bytes=5)
    append_beneath(tmp_path, ("logs",), "a.log", b"three", limit_bytes=5)
    file = tmp_path / "logs" / "a.log"
    assert file.read_bytes() == b"one two"
    empty_beneath(tmp_path, ("logs",), "a.log", above_bytes=7)
    assert file.read_bytes() == b"one two"
    empty_beneath(tmp_path, ("logs",), "a.log", above_bytes=6)
    assert file.read_bytes() == b""
    (tmp_path / "secret").write_text("kept")
    file.unlink()
    file.symlink_to(tmp_path / "secret")
    with pytest.raises(Denied):
        append_beneath(tmp_path, ("logs",), "a.log", b"x")
    empty_beneath(tmp_path, ("logs",), "a.log", above_bytes=0)
    assert (tmp_path / "secret").read_text() == "kept"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(Denied):
        append_beneath(tmp_path, ("logs",), "a.log", b"x")
    empty_beneath(tmp_path, ("logs",), "a.log", above_bytes=0)
    empty_beneath(tmp_path, ("missing",), "a.log", above_bytes=0)
    with pytest.raises(NotFound):
        append_beneath(tmp_path, ("missing",), "a.log", b"x")
