"""``journalctl -u copilot-api`` over a real journald: it shows what the gateway's unit has added to its lines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from gateway.units.render import GATEWAY_UNIT, MODEL_API_UNIT, Installation, render
from tests.support.missing import missing

JOURNALD = "/lib/systemd/systemd-journald"

SPEAKERS = """
import os, socket, sys, time
def say(text, extra=""):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.connect("/run/systemd/journal/socket")
        journal.send(f"MESSAGE={text}\\n{extra}\\n".encode())
deadline = time.monotonic() + 20
while not os.path.exists("/run/systemd/journal/socket") and time.monotonic() < deadline:
    time.sleep(0.05)
say("the gateway answered a model call", sys.argv[1])
say("another service of root")
if os.fork() == 0:
    os.setgid(65534); os.setuid(65534)
    say("an agent that pretends", sys.argv[1])
    os._exit(0)
os.wait()
"""

IN_PRIVATE = """
set -e
mount -t tmpfs none /run
mkdir -p /run/log/journal
"$1" &
journald=$!
"$2" -c "$3" "$4"
journalctl --sync >/dev/null 2>&1 || sleep 1
journalctl --no-pager --quiet -o cat -D /run/log/journal -u copilot-api
echo ----
journalctl --no-pager --quiet -o cat -D /run/log/journal
kill $journald
"""


def test_the_gateways_lines_are_shown_under_the_policys_name_and_nobody_elses() -> None:
    if os.geteuid() != 0:
        missing("journald runs as root only")
    of = Installation(Path("/var/lib/c"), Path("/run/c"), Path("/usr/bin"), {"nanoclaw": "nanoclaw"}, "UTC")
    unit = next(file.text for file in render(of) if file.name == GATEWAY_UNIT)
    added = re.findall(r"^LogExtraFields=(.*)$", unit, re.MULTILINE)
    assert added == [f"OBJECT_SYSTEMD_UNIT={MODEL_API_UNIT}"]
    words = ["sh", "-c", IN_PRIVATE, "sh", JOURNALD, sys.executable, SPEAKERS, added[0]]
    done = subprocess.run(["unshare", "--mount", *words], check=False, capture_output=True, text=True, timeout=45)
    assert done.returncode == 0, done.stderr
    shown, _, everything = done.stdout.partition("----\n")
    assert shown.splitlines() == ["the gateway answered a model call"]
    assert {"another service of root", "an agent that pretends"} <= set(everything.splitlines())
