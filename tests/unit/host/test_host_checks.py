"""What `clawgate host check` says: over texts as the kernel and iptables write them, and over a real socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.host import ports
from gateway.host.cli import cli
from gateway.host.firewall import examine_docker_user, examine_saved_rules, parse_rules, saved_rules
from gateway.host.ports import examine_port, own_addresses, parse_addresses
from gateway.host.room import GB, examine_disk, examine_memory, examine_swap, parse_meminfo
from gateway.host.service import examine_ports, memory_limits
from gateway.maintenance.disk import DiskUse
from gateway.settings import Settings
from shared.config.paths import Paths
from shared.doctor.rows import Row
from shared.lifecycle.listening import Listener, listeners, parse_listeners

# The one thing looked at is whether this machine answers under its own addresses; nothing leaves it.
pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1", *own_addresses()])

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4965 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0100007F:102D 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
"""
TCP6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000001000000:102D 00000000000000000000000000000000:0000 0A 00000000:00000000 0 0 0 4
   1: 0000000000000000FFFF00000100007F:4966 00000000000000000000000000000000:0000 0A 00000000:00000000 0 0 0 5
   2: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 0 0 0 6
"""
FIB = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.0.0.0
        /24 link UNICAST
     |-- 10.0.0.7
        /32 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
"""
INET6 = """00000000000000000000000000000001 01 80 10 80       lo
fe800000000000000042acfffe110002 02 40 20 80     eth0
20010db8000000000000000000000007 02 40 00 80     eth0
"""
RULES = """*filter
:INPUT ACCEPT [0:0]
:DOCKER-USER - [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 18789 -j ACCEPT
-A INPUT -s 10.0.0.0/24 -p tcp -m multiport --dports 4000:5000,18790 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
COMMIT
"""
PORTS = (18789, 18790, 4141)


def only(findings: list[Row]) -> Row:
    (finding,) = findings
    return finding


def test_listening_sockets_are_read_in_the_kernels_byte_order() -> None:
    assert parse_listeners(TCP) == [Listener("0.0.0.0", 22), Listener("127.0.0.1", 18789)]
    assert parse_listeners(TCP6) == [Listener("127.0.0.1", 18790), Listener("::", 80), Listener("::1", 4141)]


def test_own_addresses_leave_out_loopback_and_link_local_ones() -> None:
    assert parse_addresses(FIB, INET6) == ["10.0.0.7", "2001:db8::7"]


@pytest.mark.parametrize(
    ("address", "reached", "level", "word"),
    [
        ("127.0.0.1", False, "ok", "127.0.0.1 alone"),
        ("::1", False, "ok", "::1 alone"),
        ("", False, "ok", "nothing listens"),
        ("0.0.0.0", True, "fail", "10.0.0.7"),
        ("::", False, "fail", "::"),
        ("", True, "fail", "10.0.0.7"),
    ],
    ids=["loopback", "loopback6", "nothing", "everywhere", "everywhere6", "published-by-docker"],
)
def test_a_port_belongs_on_loopback(address: str, reached: bool, level: str, word: str) -> None:
    heard = [Listener(address, 18789)] if address else []
    found = examine_port(18789, "Control UI", heard, ["10.0.0.7"], lambda _a, _p: reached)
    assert (found.id, found.level) == ("HOST-PORT-18789", level)
    assert word in found.detail
    assert bool(found.fix) == (level == "fail")


def test_on_the_bridges_port_nothing_should_listen() -> None:
    found = examine_port(18790, "bridge", [Listener("127.0.0.1", 18790)], [], reserved=True)
    assert found.level == "warn"
    assert examine_port(18790, "bridge", [], [], reserved=True).level == "ok"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_real_socket_is_found_and_reached_where_it_listens(host: str) -> None:
    outside = own_addresses()
    with socket.create_server((host, 0)) as server:
        port = server.getsockname()[1]
        assert Listener(host, port) in listeners()
        found = examine_port(port, "test", listeners(), outside)
        assert found.level == ("ok" if host == "127.0.0.1" else "fail")
        if host == "0.0.0.0" and outside:
            assert ports.answers(outside[0], port)
            assert outside[0] in found.detail
        at_model_port = examine_ports(port)
    assert at_model_port[-1].id == f"HOST-PORT-{port}"


def test_the_policys_own_rule_is_named_with_its_line() -> None:
    found = only(examine_saved_rules(RULES, PORTS))
    assert (found.id, found.level) == ("HOST-RULES-OPEN", "warn")
    assert "rules.v4:7 opens port 18789" in found.detail
    rules = parse_rules(RULES)
    assert [rule.names(4141) for rule in rules if rule.target == "ACCEPT"] == [False, False, False, False, True]


def test_rules_that_open_nothing_of_ours_are_fine_and_one_that_opens_everything_is_not() -> None:
    closed = "\n".join(line for line in RULES.splitlines() if "18789" not in line)
    assert only(examine_saved_rules(closed, PORTS)).level == "ok"
    everything = examine_saved_rules(RULES.replace("-A INPUT -i lo -j ACCEPT", "[3:120] -A INPUT -j ACCEPT"), (4141,))
    assert only(everything).level == "warn"


def test_saved_rules_with_dockers_own_chains_are_named() -> None:
    text = RULES.replace("COMMIT", "-A FORWARD -o docker0 -j DOCKER\n-A DOCKER-USER -j RETURN\nCOMMIT")
    found = {finding.id: finding for finding in examine_saved_rules(text, PORTS)}
    assert "(1 of them)" in found["HOST-RULES-DOCKER"].detail


def test_a_missing_rules_file_opens_nothing_and_one_that_cannot_be_read_is_not_called_fine(tmp_path: Path) -> None:
    assert only(saved_rules(PORTS, tmp_path / "rules.v4")).level == "ok"
    (tmp_path / "folder").mkdir()
    assert only(saved_rules(PORTS, tmp_path / "folder")).level == "note"


def test_docker_user() -> None:
    assert examine_docker_user(None).level == "note"
    assert examine_docker_user("-N DOCKER-USER\n-A DOCKER-USER -j RETURN\n").level == "note"
    dropping = "-N DOCKER-USER\n-A DOCKER-USER -i ens3 -p tcp -m conntrack --ctorigdstport 18789 -j DROP\n"
    assert examine_docker_user(dropping).level == "ok"


def test_memory_of_the_policys_host_is_enough_for_the_shipped_limits(tmp_path: Path) -> None:
    limits = memory_limits(Settings.policy_of(Paths.resolve(tmp_path, tmp_path / "r")))
    assert limits == {"gateway": 1 * GB, "nanoclaw": 1 * GB, "openclaw": 2 * GB}
    host = parse_meminfo("MemTotal:       24105216 kB\nSwapTotal:       2097148 kB\n")
    assert examine_memory(limits, 5, 2 * GB, host["MemTotal"]).level == "ok"
    assert examine_swap(host).level == "ok"
    small = examine_memory(limits, 5, 2 * GB, 12 * GB)
    assert (small.level, "workers.max_workers = 2" in small.fix) == ("warn", True)
    assert examine_swap({"SwapTotal": 0}).level == "warn"


def test_a_disk_that_fills_up_is_named() -> None:
    path = Path("/var/lib/clawgate")
    assert examine_disk(DiskUse(path, 45 * 10**9, 30 * 10**9), 75).level == "ok"
    assert examine_disk(DiskUse(path, 45 * 10**9, 9 * 10**9), 75).level == "warn"


def test_the_command_says_everything_and_its_exit_code_is_about_strangers(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["check", "--json", "--state", str(tmp_path / "s")], standalone_mode=False)
    said = json.loads(done.output)
    assert {"HOST-PORT-18790", "HOST-SWAP", "HOST-DISK", "HOST-MEMORY", "HOST-DOCKER-USER", "HOST-CLOUD"} <= {
        finding["id"] for finding in said["rows"]
    }
    assert said["ok"] == (done.return_value == 0)
