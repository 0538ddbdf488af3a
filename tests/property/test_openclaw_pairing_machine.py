"""Pairing as a state machine: in whatever order things happen, nobody gets more than was given.

The machine drives the real `Devices` over a real database beside a small model of the rules (reference §5, §6).
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from openclaw.devices import REQUEST_LIFETIME_S, Asking, Devices
from openclaw.gateway import MIGRATIONS
from openclaw.protocol.frames import ClientInfo
from openclaw.protocol.handshake import Knock, decide_pairing
from openclaw.protocol.scopes import OPERATOR_SCOPES, covers
from shared.clock import FakeClock
from shared.errors import Invalid, NotFound
from shared.secrets.files import Secret
from shared.storage import Database

NAMES = st.sampled_from(["a", "b", "c"])
ROLES = st.sampled_from(["operator", "node"])
SCOPES = st.frozensets(st.sampled_from(sorted(OPERATOR_SCOPES)), max_size=3).map(lambda found: tuple(sorted(found)))
PLATFORMS = st.sampled_from(["linux", "linux", "linux", "macos"])


class Pairing(RuleBasedStateMachine):
    tokens = Bundle("tokens")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.db = Database(self.folder / "o.db", migrations=MIGRATIONS)
        self.run(self.db.open())
        self.devices = self.loaded()
        self.pending = {}  # device -> (request id, roles, scopes, platform, knocked at)
        self.paired = {}  # device -> (roles, scopes, platform)
        self.live = {}  # (device, role) -> [token, scopes, revoked]
        self.ended = []  # (device, role, token) that must never open a door again

    def run(self, work):
        return self.loop.run_until_complete(work)

    def loaded(self):
        devices = Devices(self.db, Secret("gateway-token"), self.clock)
        self.run(devices.load())
        return devices

    def teardown(self):
        self.run(self.db.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    def expire(self):
        now = self.clock.now()
        self.pending = {
            name: entry
            for name, entry in self.pending.items()
            if (now - entry[4]).total_seconds() <= REQUEST_LIFETIME_S
        }

    def asking(self, name, role, scopes, platform):
        client = ClientInfo(id="cli", mode="cli", version="1", platform=platform)
        return Asking(name, f"key-{name}", client, role, scopes, remote_ip="203.0.113.7")

    @rule(target=tokens, name=NAMES, role=ROLES, scopes=SCOPES, platform=PLATFORMS, local=st.booleans())
    def knock(self, name, role, scopes, platform, local):
        """A device that proved its key and has the gateway token."""
        self.expire()
        knock = Knock(f"key-{name}", role, scopes, platform, "", "cli", local, has_origin=False)
        decision = decide_pairing(knock, self.devices.known(name))
        asking = self.asking(name, role, scopes, platform)
        roles, given, pinned = self.paired.get(name, (set(), set(), platform))
        fits = name in self.paired and role in roles and covers(given, scopes) and pinned == platform
        assert (decision.kind == "allow") == fits
        if decision.kind == "ask":
            before = self.pending.get(name)
            request_id = self.run(self.devices.ask(asking))
            assert before is None or before[0] == request_id
            merged = (before[1] if before else set()) | {role}, (before[2] if before else set()) | set(scopes)
            self.pending[name] = (request_id, *merged, platform, self.clock.now())
            return None
        if decision.kind == "approve":
            assert local
            assert decision.reason in {"not-paired", "scope-upgrade"}
            self.run(self.devices.approve_silently(asking))
            self.pending.pop(name, None)
            self.grant(name, {role}, set(scopes), platform)
        return self.enter(name, role, scopes, asking)

    def grant(self, name, roles, scopes, platform):
        old_roles, old_scopes, _ = self.paired.get(name, (set(), set(), ""))
        self.paired[name] = (old_roles | roles, old_scopes | scopes, platform)
        for role in roles:
            self.end(name, role)
            self.live[name, role] = [None, self.paired[name][1], False]

    def end(self, name, role):
        old = self.live.get((name, role))
        if old and old[0]:
            self.ended.append((name, role, old[0]))

    def enter(self, name, role, scopes, asking):
        token, row = self.run(self.devices.admit(asking))
        entry = self.live.get((name, role))
        kept = entry is not None and not entry[2] and covers(entry[1], scopes)
        if kept and entry[0]:
            assert token == entry[0]
        if not kept:
            self.end(name, role)
            before = set() if entry is None or entry[2] else set(entry[1])
            entry = self.live[name, role] = [None, before | set(scopes), False]
        entry[0] = token
        assert set(row.scopes) == set(entry[1])
        assert covers(self.paired[name][1], row.scopes)
        return (name, role, token)

    @rule(data=st.data())
    def decide(self, data):
        """The operator looks at what waits and approves or rejects one."""
        self.expire()
        shown = self.devices.listing()["pending"]
        assert {row["requestId"] for row in shown} == {entry[0] for entry in self.pending.values()}
        if not shown:
            return
        row = data.draw(st.sampled_from(sorted(shown, key=lambda found: found["deviceId"])))
        name = row["deviceId"]
        request_id, roles, scopes, platform, _ = self.pending.pop(name)
        assert (set(row["roles"]), set(row["scopes"])) == (roles, scopes)
        if data.draw(st.booleans()):
            self.run(self.devices.approve(request_id))
            self.grant(name, roles, scopes, platform)
        else:
            assert self.run(self.devices.reject(request_id)) == name
        for again in (self.devices.approve, self.devices.reject):
            try:
                self.run(again(request_id))
            except NotFound:
                continue
            raise AssertionError("a request was decided twice")

    @rule(seconds=st.sampled_from([200, 301]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule(name=NAMES, role=ROLES, scopes=st.none() | SCOPES)
    def rotate(self, name, role, scopes):
        entry = self.live.get((name, role))
        may = entry is not None and covers(entry[1], scopes or ())
        try:
            token, row = self.run(self.devices.rotate(name, role, scopes))
        except Invalid:
            assert not may
            return
        assert may
        assert covers(entry[1], row.scopes)
        self.end(name, role)
        self.live[name, role] = [token, set(row.scopes), False]

    @rule(name=NAMES, role=ROLES)
    def revoke(self, name, role):
        try:
            self.run(self.devices.revoke(name, role))
        except Invalid:
            assert (name, role) not in self.live
            return
        self.end(name, role)
        self.live[name, role][2] = True

    @rule(name=NAMES)
    def remove(self, name):
        try:
            self.run(self.devices.remove(name))
        except NotFound:
            assert name not in self.paired
            return
        del self.paired[name]
        for key in [key for key in self.live if key[0] == name]:
            self.end(*key)
            del self.live[key]

    @rule()
    def restart(self):
        self.devices = self.loaded()

    @rule(token=tokens, scopes=SCOPES, other=NAMES)
    def come_by_token(self, token, scopes, other):
        """A token opens the door for its device, in its role, within its scopes, while it lives; else never."""
        if token is None:
            return
        name, role, value = token
        entry = self.live.get((name, role))
        alive = entry is not None and entry[0] == value and not entry[2]
        assert self.devices.check_token(name, role, value, scopes) == (alive and covers(entry[1], scopes))
        if other != name:
            assert not self.devices.check_token(other, role, value, ())

    @invariant()
    def nobody_has_more_than_was_given(self):
        for (name, _), (_, scopes, _) in self.live.items():
            assert covers(self.paired[name][1], scopes)
        for name, role, value in self.ended:
            entry = self.live.get((name, role))
            if entry is None or entry[0] != value:
                assert not self.devices.check_token(name, role, value, ())
        listed = {row["deviceId"]: row for row in self.devices.listing()["paired"]}
        assert set(listed) == set(self.paired)
        for name, (roles, scopes, _) in self.paired.items():
            assert (set(listed[name]["roles"]), set(listed[name]["scopes"])) == (roles, scopes)


TestPairing = Pairing.TestCase
TestPairing.settings = settings(
    max_examples=10,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking opens a database for every try
)
