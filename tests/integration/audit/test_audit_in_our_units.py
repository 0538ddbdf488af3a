"""The audit where our units put it: of ``/proc`` it sees processes alone, and must still see ports and swap."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from gateway.units.hardening import CONFINEMENT

HERE = Path(__file__).parent
PORTS = ("AUD-NET-001", "AUD-NET-012", "AUD-NET-013")

AUDIT = """
import json, socket, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from audit_house import furnish
from gateway.audit.catalogue import CATALOGUE
from gateway.audit.gather import gather
from gateway.audit.network_checks import METRICS_PORTS
from gateway.social.policy import SocialPolicy
from shared.config.paths import Paths
from shared.config.toml import load_policy

folder = Path(sys.argv[2])
paths = Paths(state=folder / "s", runtime=folder / "r")
furnish(paths, folder)
media = load_policy("social", SocialPolicy, paths).media.port
facts = gather(paths)
mine = [check for check in CATALOGUE if check.id in sys.argv[3:]]
gateway_alone = lambda: {check.id: check.look(facts).result for check in mine}
quiet = gateway_alone()
sockets = [socket.create_server(("0.0.0.0", port)) for port in (media, METRICS_PORTS[0], 4141)]
open_ = gateway_alone()
[machine] = [check for check in CATALOGUE if check.id == "AUD-OPS-010"]
print(json.dumps({"quiet": quiet, "open": open_, "swap": facts.machine.get().has_swap,
                  "machine": machine.run(facts).result,
                  "proc": [Path("/proc", name).exists() for name in ("net", "swaps")]}))
"""

BLIND = """
import json, sys
from shared.errors import Unavailable
from shared.lifecycle.listening import listening_on
try:
    print(json.dumps({"found": [str(a) for a in listening_on(4141)]}))
except Unavailable as error:
    print(json.dumps({"refused": error.detail}))
"""

TENANT = """
import encodings.ascii, json, os, socket  # what is read later, another user may not find in this Python's home
from shared.lifecycle.harden import make_undumpable
from shared.lifecycle.listening import listening_on
server = socket.create_server(("0.0.0.0", 18789))
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
make_undumpable()
print(json.dumps({"found": [str(address) for address in listening_on(18789)]}))
"""


def confined(mount: str, script: str, *words: str) -> dict[str, Any]:
    """Run a script with another ``/proc`` and a network of its own. A machine that cannot do that fails the test."""
    mine = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--pid", "--fork"]
    command = f'{mount} && exec "$@"'
    done = subprocess.run(
        [
            *("unshare", "--mount", "--net", *mine, "sh", "-c", command, "sh"),
            *(sys.executable, "-c", script, *words),
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=HERE.parents[2],
    )
    assert done.returncode == 0, f"needs root or user namespaces: {done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


def unit_proc() -> str:
    """``/proc`` as the lines of our units have systemd mount it."""
    said = {line.name: line.value for line in CONFINEMENT}
    assert (said["ProcSubset"], said["ProtectProc"]) == ("pid", "invisible")
    return "mount -t proc -o subset=pid,hidepid=invisible proc /proc"


def test_open_ports_and_swap_are_seen_from_inside_the_gateways_unit(tmp_path: Path) -> None:
    swaps = Path("/proc/swaps").read_text(encoding="ascii").splitlines()[1:]
    found = confined(unit_proc(), AUDIT, str(HERE), str(tmp_path), *PORTS)
    assert found["proc"] == [False, False], "this /proc hides nothing, so that the test says nothing"
    assert found["quiet"] == dict.fromkeys(PORTS, "pass")
    assert found["open"] == dict.fromkeys(PORTS, "fail")
    assert found["swap"] is bool(swaps)
    assert found["machine"] != "unknown"


def test_a_tenant_that_nobody_may_look_into_sees_its_own_port() -> None:
    assert confined(unit_proc(), TENANT) == {"found": ["0.0.0.0"]}


def test_where_the_kernels_tables_are_missing_nobody_says_that_nothing_listens() -> None:
    assert "nobody can say what listens" in confined("mount -t tmpfs none /proc", BLIND)["refused"]
