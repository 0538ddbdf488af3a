"""A fresh sandbox with a working agent scores 100; the owner's old commands answer; halting stops; events are kept."""

import asyncio
import json
import subprocess
import time
from datetime import UTC, datetime

from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from tests.support.sandbox_process import clawgate, sandbox_process


async def bash(script):
    process = await asyncio.create_subprocess_exec(
        "bash", str(script), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_a_fresh_installation_scores_a_hundred_and_what_happens_is_seen(tmp_path):
    state = tmp_path / "s"
    paths = Paths.resolve(state)
    # Whoever runs this later than a month after the release has compared the advisories, as docs/audit.md asks.
    overlay_file(operator_file("advisories", paths), {"reviewed": f"{datetime.now(UTC):%Y-%m-%d}"})
    async with sandbox_process(tmp_path, state=state) as sandbox:
        await sandbox.ask_bot("nanoclaw")
        code, text, _ = await clawgate(state, "audit", "--json")
        audit = json.loads(text)
        assert [(row["id"], row["evidence"]) for row in audit["findings"] if row["result"] in {"fail", "unknown"}] == []
        assert (code, audit["score"], audit["worst_24h"], audit["profile"]["deployment"]) == (0, 100, 100, "sandbox")
        running = next(row["evidence"] for row in audit["findings"] if row["id"] == "AUD-CTR-001")
        assert running.startswith("1 running"), "the agent's container was looked at"

        script = paths.openclaw_script("openclaw", "quick-audit.sh")
        assert script.stat().st_mode & 0o022 == 0
        code, text = await bash(script)
        assert code == 0, text
        assert "📊 Security Score: 100/100" in text
        assert "secureclaw-compatible: 71/100 (10 of 14" in text
        harden = paths.openclaw_script("openclaw", "quick-harden.sh")
        code, text = await bash(harden)
        assert (code, text.splitlines()[-1].startswith("Applied 0 hardening changes")) == (0, True), text

        # One thing is broken: it is found, mended, and mending again finds nothing to do.
        place = paths.gateway_db
        place.chmod(0o644)
        code, text, _ = await clawgate(state, "audit", "--fix", "--dry-run", "--json")
        assert {row["check"] for row in json.loads(text)} == {"AUD-SEC-002"}
        assert place.stat().st_mode & 0o777 == 0o644
        code, text, _ = await clawgate(state, "audit", "--fix", "--json")
        assert (code, {row["outcome"] for row in json.loads(text)}) == (0, {"mended"}), text
        assert place.stat().st_mode & 0o777 == 0o600
        code, text, _ = await clawgate(state, "audit", "--fix", "--json")
        assert (code, json.loads(text)) == (0, [])

        # Everything stops at once, in the gateway, and goes on again.
        began = time.monotonic()
        code, text, _ = await clawgate(state, "halt", "--reason", "drill", "--json")
        assert (code, json.loads(text)["ended"]) == (0, 1), text
        assert time.monotonic() - began < 30
        await sandbox.say("are you there?", bot="nanoclaw")
        await asyncio.sleep(1)
        assert sandbox.ask("gateway", "status")["workers"] == []
        code, text, _ = await clawgate(state, "resume", "--json")
        assert json.loads(text) == {"was_halted": True}
        await sandbox.ask_bot("nanoclaw")

        # What happened is kept; a tampered row is named.
        code, text, _ = await clawgate(state, "audit", "log", "--json", "--limit", "500")
        kinds = {row["kind"] for row in json.loads(text)}
        assert {"sign_in.made", "policy.changed", "profile.changed", "content.accepted", "audit.fixed"} <= kinds
        assert {"halted", "resumed"} <= kinds
        code, _, _ = await clawgate(state, "audit", "verify")
        assert code == 0
        rows = paths.audit_chain.read_text().splitlines()
        rows[1] = rows[1].replace("operator", "nobody")
        paths.audit_chain.write_text("\n".join(rows) + "\n")
        code, text, _ = await clawgate(state, "audit", "verify")
        assert code == 1
        assert "row 2 (line 2, sign_in.made" in text


async def test_nothing_that_runs_is_nothing_that_passes(tmp_path):
    paths = Paths.resolve(tmp_path / "none")
    code, text, _ = await clawgate(paths.state, "audit", "--json")
    audit = json.loads(text)
    assert (code, audit["score"] <= 39) == (2, True), "what cannot be asked counts as failed"
    assert not paths.audit_runs.exists(), "a look without the gateway writes nothing down"
