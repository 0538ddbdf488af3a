"""One owner of each token: fresh ahead of time, refreshed once however many ask, and never lost."""

from __future__ import annotations

import asyncio
import errno
import json
import stat
import sys
from datetime import timedelta

import pytest

from gateway.credentials.files import fingerprint
from gateway.credentials.journal import Entry, Journal
from gateway.credentials.keeper import Keeper
from gateway.credentials.lease import file_lease
from gateway.credentials.slots import ClaudeFileSlot
from gateway.credentials.standing import StandingFile, mark_of
from gateway.sandbox.faults import Fault
from shared.clock import SYSTEM_CLOCK, FakeClock
from shared.errors import AuthRequired, Unavailable
from shared.lifecycle.tasks import TaskPool
from shared.oauth.claude import ClaudeOAuth

HOUR = 3600


def access(token) -> str:
    return token.access.reveal()


async def test_a_token_is_refreshed_five_minutes_ahead_in_its_files_own_format(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        before = json.loads(d.claude_file.read_text())
        d.claude_file.write_text(json.dumps(before | {"mcpOAuth": {"x": 1}, "organizationUuid": "o"}))
        keeper = d.keeper()
        d.clock.advance(8 * HOUR - 400)
        assert await keeper.tick() > 0
        assert d.refreshes() == 0
        d.clock.advance(100)
        await keeper.tick()
        assert d.refreshes() == 1
        after = json.loads(d.claude_file.read_text())
        assert (after["mcpOAuth"], after["organizationUuid"]) == ({"x": 1}, "o")
        login = after["claudeAiOauth"]
        assert login["subscriptionType"] == "max"
        assert login["accessToken"] != before["claudeAiOauth"]["accessToken"]
        assert login["refreshToken"] != before["claudeAiOauth"]["refreshToken"]
        assert login["expiresAt"] == int((d.clock.now() + timedelta(hours=8)).timestamp() * 1000)
        assert stat.S_IMODE(d.claude_file.stat().st_mode) == 0o600
        assert await keeper.tick() == 60
        assert d.refreshes() == 1
        names = {path.name for path in d.claude_file.parent.iterdir()}
        assert not any("journal" in name for name in names)


async def test_a_hundred_callers_at_once_make_one_refresh(desk, tmp_path) -> None:
    async with desk(tmp_path, Fault(upstream="claude", op="token", kind="stall", body={"seconds": 0.1})) as d:
        keeper = d.keeper()
        d.clock.advance(9 * HOUR)
        tokens = await asyncio.gather(*(keeper.token() for _ in range(100)))
        assert len({access(token) for token in tokens}) == 1
        assert access(tokens[0]) == d.stored()["accessToken"]
        assert d.refreshes() == 1


async def test_two_owners_of_one_file_make_one_refresh(desk, tmp_path) -> None:
    async with desk(tmp_path, Fault(upstream="claude", op="token", kind="stall", body={"seconds": 0.1})) as d:
        one, two = d.keeper(), d.keeper()
        d.clock.advance(9 * HOUR)
        first, second = await asyncio.gather(one.token(), two.token())
        assert access(first) == access(second)
        assert d.refreshes() == 1


_CHILD = """
import asyncio, sys
from pathlib import Path
from gateway.credentials.settings import OAuthPolicy
from gateway.credentials.setup import build_sign_ins
from shared.config.paths import Paths
from shared.http.client import HttpPool
from shared.oauth.claude import ClaudeOAuthSettings

async def main(state, file, url):
    async with HttpPool() as http:
        policy = OAuthPolicy(claude=ClaudeOAuthSettings(token_url=url))
        paths = Paths(Path(state), Path(state))
        sign_ins = build_sign_ins(paths=paths, policy=policy, claude_file=Path(file), http=http)
        sys.stdin.readline()
        token = await sign_ins.refresher.keeper("claude").token()
        print(token.access.reveal())

asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_that_find_it_expired_together_make_one_refresh(desk, tmp_path) -> None:
    async with desk(tmp_path, clock=SYSTEM_CLOCK) as d:
        login = json.loads(d.claude_file.read_text())
        login["claudeAiOauth"]["expiresAt"] = 1000
        d.claude_file.write_text(json.dumps(login))
        arguments = (sys.executable, "-c", _CHILD, str(d.paths.state), str(d.claude_file), d.world.claude_token_url)
        pipe = asyncio.subprocess.PIPE
        children = [await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe) for _ in range(3)]
        outputs = await asyncio.gather(*(child.communicate(b"go\n") for child in children))
        assert {output.decode().split()[-1] for output, _ in outputs} == {d.stored()["accessToken"]}
        assert d.refreshes() == 1


async def test_an_outage_keeps_the_old_token_and_is_not_hammered(desk, tmp_path) -> None:
    async with desk(tmp_path, Fault(upstream="claude", op="token", kind="status", status=503, nth=(1, 2))) as d:
        keeper = d.keeper()
        old = d.stored()["accessToken"]
        d.clock.advance(8 * HOUR - 200)
        await keeper.tick()
        assert access(await keeper.token()) == old
        status = await keeper.status()
        assert (status.health, "503" in status.detail) == ("retrying", True)
        for _ in range(20):
            assert access(await keeper.token()) == old
            await keeper.tick()
        assert d.refreshes() == 1
        d.clock.advance(31)
        await keeper.tick()
        assert d.refreshes() == 2
        d.clock.advance(25)
        await keeper.tick()
        assert d.refreshes() == 2
        d.clock.advance(40)
        await keeper.tick()
        assert access(await keeper.token()) != old
        assert (await keeper.status()).health == "ok"


async def test_past_its_end_a_token_gets_a_minute_for_clocks_that_differ_then_the_reason(desk, tmp_path) -> None:
    async with desk(tmp_path, Fault(upstream="claude", op="token", kind="reset", nth="*")) as d:
        keeper = d.keeper()
        old = d.stored()["accessToken"]
        d.clock.advance(8 * HOUR + 30)
        assert access(await keeper.token()) == old
        d.clock.advance(31)
        with pytest.raises(Unavailable, match=r"expired and its refresh failed|was cut"):
            await keeper.token()


@pytest.mark.parametrize("days", [-11, 11])
async def test_a_clock_that_is_days_off_makes_one_refresh_and_says_what_to_do(desk, tmp_path, days: int) -> None:
    async with desk(tmp_path) as d:
        # Codex's token names the moment it ends; the provider's clock is right, ours is not.
        d.clock = FakeClock(d.clock.now() + timedelta(days=days))
        sign_ins = d.sign_ins()
        await sign_ins.take("codex", "gateway", d.codex_file.read_text())
        keeper = sign_ins.refresher.keeper("codex")
        await sign_ins.refresh("codex", "gateway")
        made = d.refreshes("codex")
        for _ in range(3):
            await keeper.tick()
            await keeper.token()
            d.clock.advance(61)
        assert d.refreshes("codex") == made
        status = await keeper.status()
        assert status.health == "ok"
        assert ("ahead of" if days > 0 else "behind") in status.detail
        assert "timedatectl" in status.detail


@pytest.mark.parametrize(
    "fault",
    [
        Fault(upstream="claude", op="token", kind="half_body"),
        Fault(upstream="claude", op="token", kind="malformed"),
        Fault(upstream="claude", op="token", kind="edge_page"),
        Fault(upstream="claude", op="token", kind="status", status=429, headers={"retry-after": "120"}),
        Fault(upstream="claude", op="token", kind="status", status=400, body={"detail": "no"}),
        Fault(upstream="claude", op="token", kind="status", status=200, body={"error": {"type": "api_error"}}),
        Fault(upstream="claude", op="token", kind="status", status=404, body="<html>moved</html>"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
async def test_an_answer_that_is_none_never_touches_the_file(desk, tmp_path, fault) -> None:
    async with desk(tmp_path, fault) as d:
        before = d.claude_file.read_bytes()
        keeper = d.keeper()
        d.clock.advance(8 * HOUR - 100)
        await keeper.tick()
        assert d.claude_file.read_bytes() == before
        assert (await keeper.status()).health == "retrying"
        assert not d.notices


async def test_a_final_no_is_told_once_survives_a_restart_and_ends_with_a_new_login(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        d.world.tokens.revoke(d.stored()["refreshToken"])
        keeper = d.keeper()
        d.clock.advance(9 * HOUR)
        for other in (keeper, keeper, d.keeper()):
            with pytest.raises(AuthRequired, match="clawgate auth login claude"):
                await other.token()
            assert (await other.status()).health == "login_needed"
        assert d.refreshes() == 1
        assert [notice.command for notice in d.notices] == ["clawgate auth login claude"]
        d.world.seed_credentials(claude=d.claude_file)
        assert access(await keeper.token()) == d.stored()["accessToken"]
        assert (await keeper.status()).health == "ok"


async def test_a_login_by_another_program_during_the_refresh_is_used(desk, tmp_path) -> None:
    stall = Fault(upstream="claude", op="token", kind="stall", body={"seconds": 0.2})
    async with desk(tmp_path, stall) as d:
        d.world.tokens.revoke(d.stored()["refreshToken"])
        keeper = d.keeper()
        d.clock.advance(9 * HOUR)
        waiting = asyncio.gather(keeper.token())
        await asyncio.sleep(0.1)
        d.world.seed_credentials(claude=d.claude_file)
        assert access((await waiting)[0]) == d.stored()["accessToken"]
        assert not d.notices


async def test_a_crash_between_the_answer_and_the_write_loses_nothing(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        slot = ClaudeFileSlot(d.claude_file)
        old = await slot.load()
        new = await ClaudeOAuth(d.policy().claude, d.http, clock=d.clock).refresh(old)
        journal = Journal(slot.journal)
        journal.reserve()
        journal.write(Entry(mark_of(old), new, d.clock.now().isoformat()))
        assert stat.S_IMODE(slot.journal.stat().st_mode) == 0o600
        # Another life begins here.
        keeper = d.keeper()
        assert access(await keeper.token()) == access(new)
        d.clock.advance(8 * HOUR)
        await keeper.tick()
        assert d.refreshes() == 2
        assert not d.notices
        assert not slot.journal.exists()


@pytest.mark.parametrize("cut", [0, 1, 64, 200])
async def test_a_journal_cut_in_its_writing_counts_as_none(desk, tmp_path, cut: int) -> None:
    async with desk(tmp_path) as d:
        slot = ClaudeFileSlot(d.claude_file)
        old = await slot.load()
        journal = Journal(slot.journal)
        journal.reserve()
        assert journal.read() is None
        journal.write(Entry(mark_of(old), old, d.clock.now().isoformat()))
        raw = slot.journal.read_bytes()
        slot.journal.write_bytes(raw[:cut] + b" " * (len(raw) - cut))
        assert journal.read() is None
        assert access(await d.keeper().token()) == access(old)


async def test_an_old_journal_never_replaces_a_newer_login(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        slot = ClaudeFileSlot(d.claude_file)
        old = await slot.load()
        Journal(slot.journal).write(Entry(mark_of(old), old, d.clock.now().isoformat()))
        d.world.seed_credentials(claude=d.claude_file)
        assert access(await d.keeper().token()) == d.stored()["accessToken"] != access(old)


class FullDisk(ClaudeFileSlot):
    """A disk that fills up and is cleaned again."""

    full = True

    async def save(self, token) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        await super().save(token)


def keeper_on(d, slot, **options) -> Keeper:
    return Keeper(
        ClaudeOAuth(d.policy().claude, d.http, clock=d.clock),
        slot,
        tenant="gateway",
        standing=StandingFile(d.paths.gateway / "standing.json"),
        tasks=TaskPool("test"),
        clock=d.clock,
        **options,
    )


async def test_a_disk_that_fills_during_the_write_keeps_the_token_in_the_journal(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        slot = FullDisk(d.claude_file)
        keeper = keeper_on(d, slot)
        old = d.stored()["accessToken"]
        d.clock.advance(8 * HOUR)
        new = access(await keeper.token())
        assert new != old
        assert d.stored()["accessToken"] == old
        assert (await keeper.status()).health == "unsaved"
        # Another process finds it, and nobody refreshes over the only copy.
        assert access(await keeper_on(d, slot).token()) == new
        d.clock.advance(8 * HOUR - 100)
        await keeper.tick()
        assert d.refreshes() == 1
        slot.full = False
        d.clock.advance(60)
        await keeper.tick()
        assert d.refreshes() == 2
        assert d.stored()["accessToken"] == access(await keeper.token())
        assert (await keeper.status()).health == "ok"


async def test_without_room_for_the_answer_nobody_is_asked(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        keeper = keeper_on(d, ClaudeFileSlot(d.claude_file), journal=Journal(tmp_path / "file" / "journal"))
        (tmp_path / "file").write_text("in the way")
        old = d.stored()["accessToken"]
        d.clock.advance(8 * HOUR - 100)
        await keeper.tick()
        assert access(await keeper.token()) == old
        assert d.refreshes() == 0
        assert "cannot be written" in (await keeper.status()).detail


async def test_waiting_for_a_lease_ends(tmp_path) -> None:
    async with file_lease(tmp_path / "lock", deadline_s=1):
        with pytest.raises(Unavailable, match="another process"):
            async with file_lease(tmp_path / "lock", deadline_s=0.05):
                pass
    async with file_lease(tmp_path / "lock", deadline_s=0.05):
        assert (tmp_path / "lock").exists()


async def test_a_caller_who_leaves_does_not_cut_the_refresh_short(desk, tmp_path) -> None:
    async with desk(tmp_path, Fault(upstream="claude", op="token", kind="stall", body={"seconds": 0.1})) as d:
        sign_ins = d.sign_ins()
        keeper = sign_ins.refresher.keeper("claude")
        d.clock.advance(9 * HOUR)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(keeper.token(), 0.03)
        await sign_ins.refresher.stop()
        assert d.stored()["expiresAt"] > d.clock.now().timestamp() * 1000


async def test_a_short_lived_token_is_not_refreshed_all_the_time(desk, tmp_path) -> None:
    short = Fault(upstream="claude", op="token", kind="clock_skew", body={"seconds": -(8 * HOUR - 120)})
    async with desk(tmp_path, short) as d:
        keeper = d.keeper()
        d.clock.advance(9 * HOUR)
        await keeper.token()
        for _ in range(5):
            await keeper.token()
        assert d.refreshes() == 1
        assert (await keeper.status()).next_refresh == d.clock.now() + timedelta(seconds=60)


async def test_the_timer_refreshes_by_itself_and_stops(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins()
        d.clock.advance(8 * HOUR - 100)
        sign_ins.refresher.start()
        async with asyncio.timeout(3):
            while not d.refreshes():
                await asyncio.sleep(0.01)
        await sign_ins.refresher.stop()
        assert d.stored()["expiresAt"] > d.clock.now().timestamp() * 1000 + 7 * HOUR * 1000


async def test_a_401_is_answered_by_one_refresh_then_by_the_key(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        credentials = d.credentials(d.sign_ins())
        first = await credentials.headers_for("claude")
        second = await credentials.after_refusal(first)
        assert second is not None
        assert (second.kind, second.mark != first.mark) == ("oauth", True)
        assert second.mark == fingerprint(d.stored()["accessToken"])
        third = await credentials.after_refusal(second)
        assert third is not None
        assert third.kind == "api_key"
        assert (await credentials.headers_for("claude")).kind == "api_key"
        assert d.refreshes() == 1
        d.clock.advance(601)
        assert (await credentials.headers_for("claude")).kind == "oauth"


async def test_the_key_serves_while_the_subscription_cannot_be_refreshed(desk, tmp_path) -> None:
    async with desk(tmp_path, Fault(upstream="claude", op="token", kind="status", status=500)) as d:
        sign_ins = d.sign_ins()
        credentials, without = d.credentials(sign_ins), d.credentials(sign_ins, key=False)
        d.clock.advance(9 * HOUR)
        assert (await credentials.headers_for("claude")).kind == "api_key"
        with pytest.raises(Unavailable, match="refresh fails"):
            await without.headers_for("claude")
        d.clock.advance(61)
        assert (await credentials.headers_for("claude")).kind == "oauth"


async def test_a_limit_spends_the_key_only_if_policy_says_so(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        credentials = d.credentials(d.sign_ins())
        auth = await credentials.headers_for("claude")
        assert await credentials.after_limit(auth, 60) is None
        assert (await credentials.headers_for("claude")).kind == "oauth"


async def test_codex_from_the_vault_is_refreshed_and_before_that_its_file_is_only_read(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins()
        credentials = d.credentials(sign_ins)
        borrowed = await credentials.headers_for("codex")
        before = d.codex_file.read_bytes()
        assert (await sign_ins.take("codex", "gateway", d.codex_file.read_text()))["account"] == "owner@sandbox.invalid"
        assert (await credentials.headers_for("codex")).mark == borrowed.mark
        d.clock.advance(10 * 24 * HOUR)
        fresh = await credentials.headers_for("codex")
        assert fresh.mark != borrowed.mark
        assert dict(fresh.headers)["chatgpt-account-id"] == "sandbox-account"
        assert d.codex_file.read_bytes() == before
        files = [path for path in (d.paths.gateway / "vault").rglob("*") if path.is_file()]
        assert files
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


async def test_a_refresh_token_used_elsewhere_is_a_login_needed(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        one, two = d.sign_ins(), d.sign_ins()
        await one.take("codex", "gateway", d.codex_file.read_text())
        d.clock.advance(10 * 24 * HOUR)
        stolen = (await one.refresher.keeper("codex").peek()).refresh.reveal()
        d.world.tokens.known(stolen).spent = True
        with pytest.raises(AuthRequired, match=r"refresh_token_reused.*clawgate auth login codex"):
            await two.refresher.keeper("codex").token()


async def test_a_crash_is_survived_by_a_sealed_journal_too_and_nothing_lies_open(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins()
        await sign_ins.take("codex", "gateway", d.codex_file.read_text())
        keeper = sign_ins.refresher.keeper("codex")
        old = await keeper.peek()
        new = await keeper.provider.refresh(old)
        keeper._journal.reserve()
        keeper._journal.write(Entry(mark_of(old), new, d.clock.now().isoformat()))
        await sign_ins.refresher.stop()
        files = [path for path in d.paths.gateway.rglob("*") if path.is_file()]
        kept = b"".join(path.read_bytes() for path in files)
        for secret in (old.access, new.access, old.refresh, new.refresh):
            assert secret.reveal().encode() not in kept
        d.clock.advance(10)
        assert access(await d.keeper("codex").token()) == access(new)


async def test_a_renewal_writes_views_that_hold_no_secret(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins(tenants={"openclaw": "openclaw"})
        await sign_ins.take("codex", "gateway", d.codex_file.read_text())
        [view] = d.paths.tenant("openclaw").rglob("auth-profiles.json")
        token = await sign_ins.refresher.keeper("codex").token()
        assert "openai-codex" in view.read_text()
        assert access(token) not in view.read_text()


_DYING = """
import asyncio, os, sys
from pathlib import Path
from gateway.credentials.keeper import Keeper
from gateway.credentials.slots import ClaudeFileSlot
from gateway.credentials.standing import StandingFile
from shared.clock import SYSTEM_CLOCK, FakeClock
from shared.http.client import HttpPool
from shared.lifecycle.tasks import TaskPool
from shared.oauth.claude import ClaudeOAuth, ClaudeOAuthSettings

class Dying(ClaudeFileSlot):
    async def save(self, token):
        os._exit(9)

async def main(file, url):
    async with HttpPool() as http:
        provider = ClaudeOAuth(ClaudeOAuthSettings(token_url=url), http)
        standing = StandingFile(Path(file).with_name("standing.json"))
        slot = Dying(Path(file))
        pool = TaskPool("dying")
        await Keeper(provider, slot, tenant="gateway", standing=standing, tasks=pool, clock=SYSTEM_CLOCK).token()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_process_that_dies_before_its_write_leaves_the_new_token_to_the_next(desk, tmp_path) -> None:
    async with desk(tmp_path, clock=SYSTEM_CLOCK) as d:
        login = json.loads(d.claude_file.read_text())
        login["claudeAiOauth"]["expiresAt"] = 1000
        d.claude_file.write_text(json.dumps(login))
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _DYING, str(d.claude_file), d.world.claude_token_url
        )
        assert await child.wait() == 9
        assert d.stored()["expiresAt"] == 1000
        credentials = d.credentials(d.sign_ins())
        assert (await credentials.headers_for("claude")).kind == "oauth"
        keeper = d.keeper()
        await keeper.refresh()
        assert d.stored()["accessToken"] == access(await keeper.token())
        assert d.refreshes() == 1


async def test_what_was_read_before_a_refresh_never_hides_its_result(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins()
        await sign_ins.take("codex", "gateway", d.codex_file.read_text())
        keeper = sign_ins.refresher.keeper("codex")
        for _ in range(10):
            old = access(await keeper.peek())
            d.clock.advance(10)
            results = await asyncio.gather(keeper.refresh(stale=fingerprint(old)), *(keeper.peek() for _ in range(20)))
            assert access(await keeper.peek()) == access(results[0]) != old
