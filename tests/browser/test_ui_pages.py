"""Pages of the Control UI against a gateway that can be brought into any state."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.ui_pages import NewPage, visit
from tests.support.ui_stand_in import StandIn, stand_in
from tests.support.ui_stand_in_pages import MAIN, now_ms

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

HOSTILE = "<img src=x onerror=alert(1)>"
JOB: dict[str, Any] = {
    "id": "job-1",
    "name": "Morning news",
    "enabled": True,
    "schedule": {"kind": "cron", "expr": "0 9 * * 1-5", "tz": "Asia/Seoul"},
    "sessionTarget": "isolated",
    "wakeMode": "now",
    "payload": {"kind": "agentTurn", "message": "What is new?"},
    "delivery": {"mode": "announce"},
    "state": {"lastRunStatus": "error", "lastError": "no model answered", "consecutiveErrors": 3, "lastRunAtMs": 1},
}


async def enter(page: Page, gateway: StandIn, view: str) -> None:
    await page.goto(f"{gateway.url}#token={gateway.token}")
    await expect(page.get_by_text("connected", exact=True)).to_be_visible()
    await page.evaluate("(view) => { location.hash = '#/' + view }", view)
    await expect(page.get_by_role("heading", level=1)).to_be_focused()


def asked(gateway: StandIn, method: str) -> list[dict[str, Any]]:
    return [params for name, params in gateway.received if name == method]


async def test_the_overview_gathers_what_waits_with_its_action_in_place(page: Page):
    async with stand_in() as gateway:
        await gateway.pages.ask("curl https://example.org/")
        gateway.pages.jobs.append(JOB | {"name": HOSTILE})
        gateway.pages.issues = [{"path": "gateway.prot", "message": "unknown key; nearest: port"}]
        gateway.pages.credentials = [
            {"id": "codex", "label": "Codex", "state": "expired", "expiresAtMs": 1, "fix": "clawgate auth login codex"}
        ]
        await page.goto(f"{gateway.url}#token={gateway.token}")
        waiting = page.get_by_role("region", name="Waiting for you")
        await expect(waiting.get_by_role("listitem").filter(has_text="sign-in for Codex")).to_contain_text("auth login")
        await expect(waiting).to_contain_text("gateway.prot: unknown key")
        await expect(waiting).to_contain_text(f"The job “{HOSTILE}” failed")
        await expect(page).to_have_title("(4) Overview · OpenClaw")
        await waiting.get_by_role("button", name="Run now").click()
        await expect(waiting).not_to_contain_text("The job")
        await waiting.get_by_role("button", name="Allow once").click()
        await expect(waiting.get_by_role("button", name="Allow once")).to_have_count(0)
        assert asked(gateway, "exec.approval.resolve") == [{"id": "approval-1", "decision": "allow-once"}]


async def test_an_approval_shows_all_that_decides_and_hides_nothing(page: Page):
    async with stand_in() as gateway:
        await enter(page, gateway, "approvals")
        await expect(page.get_by_text("No command is waiting.")).to_be_visible()
        await gateway.pages.ask(
            "rm \u202e-rf\u200b /tmp/x", envKeys=["TOKEN"], cwd="/srv", alwaysRefused="it has variables"
        )
        card = page.get_by_role("article", name="The assistant wants to run")
        await expect(card.locator("pre")).to_have_text("rm ⟨U+202E⟩-rf⟨U+200B⟩ /tmp/x")
        for text in ("/usr/bin/rm", "/srv", "TOKEN", "not in the list of what may run", " left"):
            await expect(card).to_contain_text(text)
        await expect(card.get_by_role("button", name="Allow always")).to_be_disabled()
        await card.get_by_role("group").filter(has_text="What “always” stores").click()
        await expect(card).to_contain_text("not possible here: it has variables")
        await card.get_by_role("button", name="Deny").click()
        await expect(page.get_by_role("region", name="Decided lately")).to_contain_text("denied here")


async def test_a_decision_that_just_appeared_under_the_pointer_cannot_be_pressed_yet(page: Page):
    async with stand_in() as gateway:
        await page.clock.install()
        await enter(page, gateway, "approvals")
        await page.clock.pause_at((now_ms() + 5000) / 1000)
        await gateway.pages.ask("uptime")
        allow = page.get_by_role("button", name="Allow once")
        await expect(allow).to_be_disabled()
        await page.clock.run_for(1000)
        await expect(allow).to_be_enabled()


async def test_when_one_decision_goes_the_next_cannot_be_pressed_by_the_same_click(page: Page):
    async with stand_in() as gateway:
        await page.clock.install()
        await enter(page, gateway, "approvals")
        await page.clock.pause_at((now_ms() + 5000) / 1000)
        for command in ("uptime", "rm -r /srv"):
            await gateway.pages.ask(command)
        allow = page.get_by_role("button", name="Allow once")
        await expect(allow).to_have_count(2)
        await page.clock.run_for(1000)
        await allow.nth(0).click()
        await expect(allow).to_have_count(1)
        await expect(allow).to_be_disabled()
        await page.clock.run_for(1000)
        await expect(allow).to_be_enabled()
        assert len(asked(gateway, "exec.approval.resolve")) == 1


async def test_always_is_asked_for_once_more_and_can_be_withdrawn(page: Page):
    async with stand_in() as gateway:
        gateway.pages.allowlist = [{"id": "g1", "pattern": "curl https://example.org/"}]
        await gateway.pages.ask("uptime")
        await enter(page, gateway, "approvals")
        await page.get_by_role("button", name="Allow always").click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        await page.get_by_role("button", name="Allow always").click()
        await page.get_by_role("dialog").get_by_role("button", name="Allow always").click()
        await expect(page.get_by_role("region", name="Decided lately")).to_contain_text("allowed always here")
        assert [params["decision"] for params in asked(gateway, "exec.approval.resolve")] == ["allow-always"]
        await page.get_by_role("button", name="Withdraw curl").click()
        await page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
        await expect(page.get_by_text("Nothing is allowed for good.")).to_be_visible()


async def test_what_another_decided_or_nobody_is_told_calmly(page: Page):
    async with stand_in() as gateway:
        await gateway.pages.ask("uptime", life_ms=2500)
        await gateway.pages.ask("whoami")
        await enter(page, gateway, "sessions")
        await expect(page).to_have_title("(1) Sessions · OpenClaw")
        await visit(page, "approvals")
        await gateway.pages.decide("approval-2", "deny", "Minji (discord)")
        lately = page.get_by_role("region", name="Decided lately")
        await expect(lately).to_contain_text("denied by Minji (discord)")
        await expect(lately).to_contain_text("expired, nothing ran")
        await expect(page.get_by_text("No command is waiting.")).to_be_visible()
        await expect(page.get_by_role("alert")).to_have_count(0)


POST: dict[str, Any] = {
    "id": "post_1",
    "network": "threads",
    "account": "@claw",
    "group": "main",
    "kind": "text",
    "text": f"Good \u200bmorning {HOSTILE}",
    "length": 14,
    "limit": 500,
    "extras": {},
    "media": [],
    "state": "awaiting_approval",
    "summary": "waits for a person",
    "digest": "a" * 64,
    "permalink": "javascript:alert(1)",
}


async def test_a_post_is_approved_as_it_was_looked_at_and_a_doubt_is_settled(page: Page):
    async with stand_in() as gateway:
        times = {"createdAtMs": now_ms(), "dueAtMs": now_ms()}
        doubt = {"id": "post_2", "state": "needs_attention", "text": "Is it there?"}
        gateway.pages.posts = [POST | times, POST | times | doubt]
        await enter(page, gateway, "posts")
        waiting = page.get_by_role("region", name="Waiting for you")
        card = waiting.get_by_role("listitem").filter(has_text="Good")
        await expect(card).to_contain_text(f"Good ⟨U+200B⟩morning {HOSTILE}")
        await expect(card.get_by_role("link")).to_have_count(0)
        await card.get_by_role("button", name="Change the text").click()
        await page.get_by_role("textbox", name="Text").fill("Good morning")
        await page.get_by_role("dialog").get_by_role("button", name="Save").click()
        await expect(card.locator(".text")).to_have_text("Good morning")
        await card.get_by_role("button", name="Approve").click()
        await page.get_by_role("dialog").get_by_role("button", name="Approve").click()
        await expect(page.get_by_role("region", name="On the way")).to_contain_text("Approved by")
        assert asked(gateway, "posts.approve") == [{"id": "post_1", "digest": "b" * 64}]
        await waiting.get_by_role("button", name="It is online").click()
        await page.get_by_role("dialog").get_by_role("button", name="It is online").click()
        await expect(waiting).to_contain_text("No post waits for you.")
        assert asked(gateway, "posts.resolve") == [{"id": "post_2", "posted": True}]


async def test_what_is_on_its_way_is_a_calendar_and_history_has_the_link(page: Page):
    async with stand_in() as gateway:
        soon = {"createdAtMs": now_ms(), "dueAtMs": now_ms() + 3_600_000, "state": "scheduled"}
        late = soon | {"id": "post_2", "text": "Later", "dueAtMs": now_ms() + 3 * 86_400_000}
        done = {"createdAtMs": 1, "dueAtMs": 1, "state": "published", "permalink": "https://www.threads.com/t/AbC"}
        gateway.pages.posts = [POST | late, POST | soon, POST | done | {"id": "post_3", "text": "Done"}]
        await enter(page, gateway, "posts")
        coming = page.get_by_role("region", name="On the way")
        await expect(coming.get_by_role("heading", level=3).filter(has_not_text="Threads")).to_have_count(2)
        await expect(coming.get_by_role("listitem").last).to_contain_text("Later")
        link = page.get_by_role("listitem").filter(has_text="Done").get_by_role("link")
        await expect(link).to_have_attribute("href", "https://www.threads.com/t/AbC")


async def test_pictures_are_shown_in_small_and_a_published_post_is_deleted(page: Page):
    async with stand_in() as gateway:
        times = {"createdAtMs": now_ms(), "dueAtMs": now_ms()}
        online = {"id": "post_2", "text": "Regret", "state": "published", "mediaId": "17", "media": []}
        pictures = {"media": ["https://example.org/a.jpg"], "thumbnails": [1]}
        gateway.pages.posts = [POST | times | pictures, POST | times | online]
        await enter(page, gateway, "posts")
        shown = page.get_by_role("img", name="Picture 1")
        await expect(shown).to_have_attribute("src", re.compile("^data:image/"))
        assert await shown.evaluate("image => image.naturalWidth") == 1
        card = page.get_by_role("listitem").filter(has_text="Regret")
        await card.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(card).to_contain_text("being deleted")
        assert asked(gateway, "posts.delete") == [{"id": "post_2", "digest": "a" * 64}]


async def test_sessions_are_found_named_shortened_and_deleted(page: Page):
    async with stand_in() as gateway:
        other = "agent:main:discord:channel:7"
        gateway.pages.sessions = [
            {"key": MAIN, "updatedAt": now_ms(), "model": "gpt-5.1"},
            {"key": other, "displayName": HOSTILE, "updatedAt": 1, "totalTokens": 9000, "contextTokens": 200_000},
        ]
        await enter(page, gateway, "sessions")
        await page.keyboard.press("/")
        await page.keyboard.type("onerror")
        row = page.get_by_role("listitem")
        await expect(row).to_have_count(1)
        await expect(row).to_contain_text("9K of 200K tokens")
        await row.get_by_role("button", name="Rename: ").click()
        await page.get_by_role("textbox", name="Name").fill("Garden onerror")
        await page.keyboard.press("Enter")
        await expect(row.get_by_role("heading")).to_contain_text("Garden onerror")
        await row.get_by_role("button", name="Shorten").click()
        await row.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("No session fits “onerror”.")).to_be_visible()
        assert asked(gateway, "sessions.patch") == [{"key": other, "label": "Garden onerror"}]
        assert asked(gateway, "sessions.compact") == [{"key": other}]


async def test_a_job_is_made_changed_run_and_its_history_read(page: Page):
    async with stand_in() as gateway:
        await enter(page, gateway, "cron")
        await page.get_by_role("button", name="New job").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Save").click()
        await expect(dialog.get_by_text("Give the job a name.")).to_be_visible()
        await page.keyboard.type("Morning news")
        await dialog.get_by_label("When").select_option("every")
        await dialog.get_by_label("Every").fill("2")
        await dialog.get_by_label("Message to the assistant").fill("What is new?")
        await dialog.get_by_role("button", name="Save").click()
        row = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Morning news"))
        await expect(row).to_contain_text("every 2 hours")
        (made,) = asked(gateway, "cron.add")
        assert made["schedule"] == {"kind": "every", "everyMs": 7_200_000}
        assert made["payload"] == {"kind": "agentTurn", "message": "What is new?"}
        await row.get_by_role("button", name="History").click()
        await expect(row).to_contain_text("It has not run yet.")
        await row.get_by_role("button", name="Run Morning news now").click()
        await expect(row).to_contain_text("All is well.")
        await row.get_by_role("switch").uncheck()
        await expect(row).to_contain_text("paused")
        assert asked(gateway, "cron.update") == [{"id": "job-1", "patch": {"enabled": False}}]


async def test_models_change_places_and_one_that_rests_says_so(page: Page):
    async with stand_in() as gateway:
        gateway.pages.resting = "rests until 10:00"
        await enter(page, gateway, "models")
        order = page.get_by_role("region", name="Asked in this order").get_by_role("listitem")
        await expect(order.nth(0)).to_contain_text("rests until 10:00")
        await page.get_by_role("button", name="Move github-copilot/gpt-4o up").click()
        await expect(order.nth(0)).to_contain_text("github-copilot/gpt-4o")
        await page.get_by_role("button", name="Add openai-codex/gpt-5.1-mini as fallback").click()
        await expect(order).to_have_count(3)
        await page.get_by_role("button", name="Make openai-codex/gpt-5.1-mini first").click()
        await expect(order.nth(0)).to_contain_text("openai-codex/gpt-5.1-mini")


async def test_channels_are_probed(page: Page):
    async with stand_in() as gateway:
        account = {"accountId": "default", "enabled": True, "configured": True, "running": False}
        gateway.pages.accounts = [account | {"lastError": HOSTILE}]
        await enter(page, gateway, "channels")
        await expect(page.get_by_role("region", name="Discord")).to_contain_text("stopped")
        await expect(page.get_by_role("region", name="Discord")).to_contain_text(HOSTILE)
        await page.get_by_role("button", name="Probe now").click()
        await expect(page.get_by_role("region", name="Discord")).to_contain_text("probe answered in 41 ms")
        await expect(page.get_by_role("region", name="Discord")).to_contain_text("fewer than 100 servers")


async def test_the_agents_files_are_edited_and_skills_shown(page: Page):
    async with stand_in() as gateway:
        missing = {"bins": ["the program gnuplot"]}
        skill = {"name": "plot", "description": HOSTILE, "baseDir": "b", "filePath": "skills/plot/SKILL.md"}
        gateway.pages.skills = [skill | {"source": "openclaw-managed", "eligible": False, "missing": missing}]
        await enter(page, gateway, "agent")
        skills = page.get_by_role("region", name="Skills")
        for text in (HOSTILE, "lacks the program gnuplot", "cannot be used", "shared"):
            await expect(skills).to_contain_text(text)
        await page.get_by_role("button", name="Edit: SOUL.md").click()
        text = page.get_by_role("textbox", name="The text of SOUL.md")
        await expect(text).to_be_focused()
        await text.fill("# Manner\n\nShort.\n")
        await page.get_by_role("button", name="Edit: USER.md").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Cancel").click()
        await text.press("Control+s")
        await expect(page.get_by_role("button", name="Save")).to_be_disabled()
        assert gateway.pages.texts["SOUL.md"] == "# Manner\n\nShort.\n"
        await page.get_by_role("button", name="Edit: USER.md").click()
        await page.get_by_role("textbox", name="The text of USER.md").fill("Minji")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("What you save counts from the next answer on.")).to_be_visible()
        assert [params["baseHash"] == "" for params in asked(gateway, "agents.files.set")] == [False, True]
        await page.get_by_role("button", name="Close").click()
        await expect(page.get_by_role("textbox")).to_have_count(0)


async def test_use_is_shown_by_day_model_and_session(page: Page):
    async with stand_in() as gateway:
        await enter(page, gateway, "usage")
        await expect(page.get_by_text("Nothing was used in the last 30 days.")).to_be_visible()
        gateway.pages.tokens = {0: 1000, 2: 4000, 40: 90_000}
        await page.get_by_role("button", name="Refresh").click()
        await expect(page.get_by_text("5K tokens: 1.5K read, 3K read again, 500 written")).to_be_visible()
        bars = page.get_by_role("img", name="Tokens on each of the last 30 days").locator("rect.read")
        heights = [float(await bars.nth(at).get_attribute("height") or 0) for at in (27, 28, 29)]
        assert heights[0] == pytest.approx(4 * heights[2])
        assert heights[1] == 0
        await page.get_by_text("The days as a table").click()
        await expect(page.get_by_role("row")).to_have_count(3)
        await expect(page.get_by_role("region", name="By model")).to_contain_text("openai-codex/gpt-5.1")
        await expect(page.get_by_role("region", name="By session")).to_contain_text("Discord channel 1")
        await page.get_by_role("button", name="90 days").click()
        await expect(page.get_by_text("95K tokens")).to_be_visible()
        spans = [(params["days"], params["mode"]) for params in asked(gateway, "usage.cost")]
        assert spans == [(30, "specific"), (30, "specific"), (90, "specific")]


async def test_the_log_is_followed_filtered_and_held(page: Page):
    async with stand_in() as gateway:
        line = '{"event": "run.ended", "level": "%s", "timestamp": "2026-11-26T10:00:00Z", "note": "%s"}'
        gateway.pages.log = [line % ("info", "first"), line % ("error", HOSTILE), line % ("debug", "deep"), "not json"]
        await enter(page, gateway, "logs")
        rows = page.get_by_role("log").get_by_role("listitem")
        await expect(rows).to_have_count(3)
        await page.get_by_role("button", name="info", exact=True).click()
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text(HOSTILE)
        await page.get_by_role("button", name="info", exact=True).click()
        await page.get_by_role("searchbox").fill("first")
        await expect(rows).to_have_count(1)
        await page.get_by_role("button", name="Pause").click()
        gateway.pages.log.append(line % ("info", "first again"))
        await expect(page.get_by_text("paused, 1 new")).to_be_visible()
        await expect(rows).to_have_count(1)
        await page.get_by_role("button", name="Resume").click()
        await expect(rows).to_have_count(2)


async def test_settings_are_a_form_with_secrets_kept(page: Page):
    async with stand_in() as gateway:
        await enter(page, gateway, "config")
        token = page.get_by_label("Token")
        await expect(token).to_have_value("")
        await expect(token).to_have_attribute("placeholder", "Kept secret. Type to replace it.")
        await page.get_by_label("Port", exact=True).fill("abc")
        await expect(page.get_by_text("That is not a number.")).to_be_visible()
        await expect(page.get_by_role("button", name="Save changes")).to_be_disabled()
        await page.get_by_label("Port", exact=True).fill("1800")
        await page.get_by_label("Bind").select_option("lan")
        await page.get_by_role("button", name="Save changes").click()
        await expect(page.get_by_role("button", name="Save changes")).to_have_count(0)
        (sent,) = asked(gateway, "config.patch")
        assert sent["raw"] == '{"gateway":{"port":1800,"bind":"lan"}}'
        await page.get_by_role("searchbox").fill("servers")
        await expect(page.get_by_label("Discord servers")).to_have_value(
            '{\n  "100000000000000001": {\n    "requireMention": true\n  }\n}'
        )


async def test_a_file_is_refused_at_its_line_and_a_conflict_shows_both(page: Page):
    async with stand_in() as gateway:
        await enter(page, gateway, "config")
        await page.get_by_role("button", name="File").click()
        editor = page.get_by_role("textbox", name="The text of openclaw.json")
        text = gateway.pages.raw
        await editor.fill(text.replace('"gateway"', '"gatevay"'))
        await page.get_by_role("button", name="Save changes").click()
        await expect(page.get_by_text("Unrecognized key: gatevay").last).to_be_visible()
        mine = text.replace("18789", "18790")
        await editor.fill(mine)
        gateway.pages.config["gateway"]["port"] = 20000
        await page.get_by_role("button", name="Save changes").click()
        conflict = page.get_by_role("alert").filter(has_text="Somebody else changed the file")
        await expect(conflict.locator("pre").nth(0)).to_contain_text("20000")
        await expect(conflict.locator("pre").nth(1)).to_contain_text("18790")
        await conflict.get_by_role("button", name="Put mine over it").click()
        await expect(conflict).to_have_count(0)
        assert gateway.pages.config["gateway"]["port"] == 18790


@pytest.mark.parametrize("mode", ["form", "file"])
async def test_a_change_that_the_page_has_followed_meanwhile_is_not_overwritten_unseen(page: Page, mode: str):
    async with stand_in() as gateway:
        await enter(page, gateway, "config")
        if mode == "file":
            await page.get_by_role("button", name="File").click()
            mine = gateway.pages.raw.replace("18789", "18790")
            await page.get_by_role("textbox", name="The text of openclaw.json").fill(mine)
        else:
            await page.get_by_label("Port", exact=True).fill("18790")
        gateway.pages.config["gateway"]["port"] = 20000
        await gateway.emit("config", {})
        await page.wait_for_function(
            "document.querySelector('openclaw-app').stores.config.state.snapshot.raw.includes('20000')"
        )
        await page.get_by_role("button", name="Save changes").click()
        conflict = page.get_by_role("alert").filter(has_text="Somebody else changed the file")
        await expect(conflict.locator("pre").nth(0)).to_contain_text("20000")
        assert gateway.pages.config["gateway"]["port"] == 20000
        await conflict.get_by_role("button", name="Put mine over it").click()
        await expect(conflict).to_have_count(0)
        assert gateway.pages.config["gateway"]["port"] == 18790


async def test_a_file_that_cannot_be_read_is_replaced_from_the_last_valid_one(page: Page):
    async with stand_in() as gateway:
        gateway.pages.unreadable = True
        gateway.pages.issues = [{"path": "", "message": "line 3: a text is not closed", "line": 3}]
        await enter(page, gateway, "config")
        await expect(page.get_by_role("heading", name="The text cannot be shown")).to_be_visible()
        link = page.get_by_role("link", name="Configuration 1 waiting")
        inside = "(link) => link.getBoundingClientRect().right <= link.closest('nav').getBoundingClientRect().right + 1"
        assert await link.evaluate(inside), "the count has its place beside the longest name"
        await page.get_by_role("button", name="Begin from the last valid one").click()
        await expect(page.get_by_role("textbox", name="The text of openclaw.json")).to_have_value(gateway.pages.raw)
        await page.get_by_role("button", name="Save changes").click()
        await expect(page.get_by_label("Port", exact=True)).to_be_visible()
        assert [params["raw"] for params in asked(gateway, "config.set")] == [gateway.pages.raw]


async def test_a_page_without_the_right_or_the_method_says_so(page: Page):
    async with stand_in() as gateway:
        gateway.pages.forbidden = {"exec.approvals.get": "operator.admin"}
        gateway.pages.missing = {"cron.list"}
        await enter(page, gateway, "approvals")
        await expect(page.get_by_text("It needs the right “admin”.")).to_be_visible()
        await page.keyboard.press("g")
        await page.keyboard.press("j")
        await expect(page.get_by_role("heading", name="This gateway does not have that")).to_be_visible()


async def test_korean_is_spoken_and_remembered(new_page: NewPage):
    async with stand_in() as gateway:
        page = await new_page(locale="ko-KR")
        await page.goto(f"{gateway.url}#token={gateway.token}")
        await expect(page.get_by_role("heading", name="처리할 일이 없습니다")).to_be_visible()
        assert await page.evaluate("document.documentElement.lang") == "ko"
        await page.get_by_role("button", name="View in English").click()
        await expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
        await page.reload()
        await expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()


async def test_keys_lead_everywhere_and_are_listed(page: Page):
    async with stand_in() as gateway:
        await enter(page, gateway, "sessions")
        await page.keyboard.press("?")
        dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
        await expect(dialog).to_contain_text("Go to: Logs")
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await page.keyboard.press("g")
        await page.keyboard.press("l")
        await expect(page.get_by_role("heading", name="Logs")).to_be_focused()
