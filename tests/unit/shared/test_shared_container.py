"""What a process in a container knows of its surroundings: a port mapping, the first process, the interfaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.lifecycle.container import Link, Published, is_contained, links


@pytest.mark.parametrize(
    ("mapping", "expected", "loopback"),
    [
        ("127.0.0.1:18789:18789", Published("127.0.0.1", 18789, 18789), True),
        ("[::1]:8080:18789", Published("::1", 8080, 18789), True),
        ("0.0.0.0:18789:18789", Published("0.0.0.0", 18789, 18789), False),
        ("203.0.113.7:18789:18789", Published("203.0.113.7", 18789, 18789), False),
        ("18789:18789", Published("0.0.0.0", 18789, 18789), False),
    ],
)
def test_a_port_mapping_without_an_address_is_everybodys(mapping: str, expected: Published, loopback: bool) -> None:
    found = Published.parse(mapping)
    assert found == expected
    assert found.is_loopback is loopback


@pytest.mark.parametrize("mapping", ["", "18789", "localhost:18789:18789", "127.0.0.1:18789-18790:18789", "::"])
def test_what_cannot_be_read_says_nothing(mapping: str) -> None:
    assert Published.parse(mapping) is None


def test_the_engines_init_tells_a_container(tmp_path: Path) -> None:
    assert not is_contained(tmp_path)
    (tmp_path / "1").mkdir()
    for name, contained in (("systemd\n", False), ("docker-init\n", True)):
        (tmp_path / "1" / "comm").write_text(name)
        assert is_contained(tmp_path) is contained


def interface(sysfs: Path, name: str, *, flags: str, index: int, peer: int, kind: str = "") -> None:
    (sysfs / name).mkdir()
    told = {"flags": flags, "ifindex": index, "iflink": peer, "uevent": f"INTERFACE={name}\n{kind}"}
    for file, text in told.items():
        (sysfs / name / file).write_text(f"{text}\n")


def test_only_one_end_of_a_pair_is_a_containers_own_network(tmp_path: Path) -> None:
    interface(tmp_path, "lo", flags="0x9", index=1, peer=1)
    interface(tmp_path, "pair0", flags="0x1003", index=2, peer=17)
    interface(tmp_path, "card0", flags="0x1003", index=3, peer=3)
    interface(tmp_path, "onlan0", flags="0x1003", index=4, peer=3, kind="DEVTYPE=macvlan\n")
    interface(tmp_path, "unused0", flags="0x80", index=5, peer=0)
    found = {link.name: link.is_pair for link in links(tmp_path)}
    assert found == {"pair0": True, "card0": False, "onlan0": False}


@pytest.mark.parametrize(
    ("link", "private"),
    [
        (Link("eth0", "172.18.0.2", is_pair=True), True),
        (Link("eth0", "203.0.113.7", is_pair=False), False),
        (Link("eth0", "192.168.1.9", is_pair=False), False),
        (Link("eth0", "8.8.8.8", is_pair=True), False),
    ],
)
def test_a_private_network_is_a_pair_with_a_private_address(link: Link, private: bool) -> None:
    assert link.is_private is private
