"""What became of a publish call nobody saw the answer of. Source: reference notes on the Meta APIs, §7.5.

Never the newest post blindly, never a new container, never "failed" while it may be online.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from gateway.social.models import Job
from gateway.social.steps import RETRY_S, Step
from gateway.social.store import SocialStore
from shared.clock import Clock
from shared.obs.log import get_logger
from shared.secrets.files import Secret
from shared.social.graph import SocialClient
from shared.social.models import TITLES
from shared.social.problems import SocialError

_log = get_logger(__name__)

LOOK_AFTER = timedelta(seconds=30)
"""Between a publish call and the first look, and between two looks."""
GIVE_UP_AFTER = timedelta(minutes=6)
"""Then a person decides."""
SPAM_LOOKS = timedelta(minutes=5)
"""So long both views must deny a post that was taken for spam; a view may be some readings behind."""
AFTERCARE_TRIES = 5
_CLOCK_SLACK = timedelta(seconds=5)


class Doubts:
    """Settles unknown outcomes.

    Args:
        store: keeps the jobs.
        clock: tells when.
    """

    def __init__(self, store: SocialStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def begin(self, job: Job, work: Step, detail: str, *, is_spam_block: bool = False) -> Job:
        """From now on the job's outcome is unknown; what was seen of it before no longer counts."""
        now = self._clock.now()
        return await work.write(
            job,
            state="publishing",
            intent_at=job.intent_at or now,
            is_unknown=True,
            unknown_since=job.unknown_since or now,
            finished_at=None,
            is_spam_block=job.is_spam_block or is_spam_block,
            next_at=now + LOOK_AFTER,
            error_code="publish_outcome_unknown",
            detail=f"may be online, checking ({detail})",
        )

    async def look(
        self, job: Job, work: Step, client: SocialClient, token: Secret
    ) -> tuple[Job, Literal["settled", "open", "not_online"]]:
        """Look once.

        Returns:
            The job, and ``not_online`` when its container was seen unpublished at least twice, over `LOOK_AFTER` or
            `SPAM_LOOKS`, and the list does not have it.
        """
        now = self._clock.now()
        if not job.is_unknown:
            # The process ended between the call and its answer.
            job = await self.begin(job, work, "interrupted while publishing")
            if job.intent_at is not None and now < job.intent_at + LOOK_AFTER:
                return job, "open"
        state, reason = await _state_of(client, token, job.container_id)
        matches = await self.matches(job, client, token)
        # Without words any other post of that kind looks the same: the list alone then proves nothing.
        is_told = bool(job.content.text.strip()) or state == "PUBLISHED"
        if matches is not None and len(matches) == 1 and is_told:
            return await self.settle(job, work, matches[0]), "settled"
        if state == "PUBLISHED":
            return await self.settle(job, work, ""), "settled"
        if state != "FINISHED" or matches is None or matches:
            alike = "a post looks like it" if len(matches or ()) == 1 else "several posts look like it"
            reason = reason or (alike if matches else f"its container reads {state}")
            return await self.look_later(job, work, reason), "open"
        first_seen = job.finished_at or now
        # What a spam answer did not publish is given up, not published again: there both views have to be sure.
        patience = SPAM_LOOKS if job.is_spam_block else LOOK_AFTER
        if now - first_seen < patience or self._is_over(job):
            return await self.look_later(job, work, "not seen online yet", finished_at=first_seen), "open"
        return job, "not_online"

    async def look_later(self, job: Job, work: Step, reason: str, *, finished_at: datetime | None = None) -> Job:
        """Look again soon, or leave it to a person.

        Args:
            job: whose outcome is unknown.
            work: writes.
            reason: why it is still open.
            finished_at: since when its container is seen unpublished.
        """
        if self._is_over(job):
            detail = f"may be online; a person has to look and say so with `clawgate posts resolve {job.id}` ({reason})"
            return await work.end(job, "needs_attention", "publish_outcome_unknown", detail)
        now = self._clock.now()
        return await work.write(
            job,
            is_unknown=True,
            unknown_since=job.unknown_since or now,
            finished_at=finished_at,
            next_at=now + LOOK_AFTER,
            error_code="publish_outcome_unknown",
            detail=f"may be online, checking ({reason})",
        )

    async def settle(self, job: Job, work: Step, media_id: str) -> Job:
        """It is online; its id may be found later."""
        now = self._clock.now()
        return await work.write(
            job,
            state="published",
            media_id=media_id,
            published_at=now,
            error_code="",
            detail="",
            tries=0,
            next_at=now,
        )

    async def complete(self, job: Job, work: Step, client: SocialClient, token: Secret) -> Job:
        """Fetch what is nice to know of a post that is online; nothing here changes that it is."""
        media_id, permalink = job.media_id, ""
        try:
            if not media_id and len(found := await self.matches(job, client, token) or []) == 1:
                media_id = found[0]
            if media_id:
                permalink = await client.permalink(token, media_id)
        except SocialError as error:
            _log.info("social.permalink", job=job.id, reason=error.post_code)
        is_over = bool(permalink) or job.tries + 1 >= AFTERCARE_TRIES
        later = self._clock.now() + timedelta(seconds=RETRY_S * 2**job.tries)
        return await work.write(
            job, media_id=media_id, permalink=permalink, tries=job.tries + 1, next_at=None if is_over else later
        )

    async def matches(self, job: Job, client: SocialClient, token: Secret) -> list[str] | None:
        """Posts in the account's list that can only be this one; None when the list could not be read."""
        try:
            posts = await client.recent(token, job.content.list)
        except SocialError as error:
            _log.info("social.list_unread", job=job.id, at=TITLES[job.network], reason=error.post_code)
            return None
        claimed = await self._store.claimed_media(job.account)
        earliest = (job.container_at or job.created_at) - _CLOCK_SLACK
        return [
            post.media_id
            for post in posts
            if post.text.strip() == job.content.text.strip()
            and post.kind == job.content.kind
            and post.posted_at >= earliest
            and post.media_id not in claimed
        ]

    def _is_over(self, job: Job) -> bool:
        return job.unknown_since is not None and self._clock.now() - job.unknown_since >= GIVE_UP_AFTER


async def _state_of(client: SocialClient, token: Secret, container: str) -> tuple[str, str]:
    try:
        return (await client.status(token, container)).state, ""
    except SocialError as error:
        return "", error.detail
