"""What a process tells about itself is told by one that nobody may look into, as all of ours are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ASK = """
import json, os, sys
from pathlib import Path
from shared.audit.process import own_process
from shared.lifecycle.harden import make_undumpable
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
make_undumpable()
print(json.dumps(own_process(Path(sys.argv[1]))))
"""


def test_an_undumpable_process_names_its_variables_and_never_their_values(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path / "no-lock")],
        env={**os.environ, "ANTHROPIC_API_KEY": "sk-ant-value"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "ANTHROPIC_API_KEY" in told["variables"]
    assert told["holds_lock"] is False
    assert "sk-ant-value" not in done.stdout
