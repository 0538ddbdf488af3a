"""Takes a published post offline. A call whose outcome is unknown is not repeated before the network was asked."""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.social.models import Job
from gateway.social.steps import RETRY_S, TRIES, Step
from shared.clock import Clock
from shared.obs.log import get_logger
from shared.secrets.files import Secret
from shared.social.graph import SocialClient
from shared.social.problems import SocialError
from shared.social.validate import PostCode

_log = get_logger(__name__)


class Deletions:
    """Steps of jobs in ``deleting``.

    Args:
        clock: tells when.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def step(self, job: Job, work: Step, client: SocialClient, token: Secret) -> Job:
        """Look whether it is gone when it was tried before, else ask the network to delete it."""
        try:
            if job.tries and await _is_gone(job, client, token):
                return await self._deleted(job, work)
            # Written first: after a death here the next process looks before it asks again.
            job = await work.write(job, tries=max(1, job.tries), next_at=self._next(job))
            await client.delete(token, job.media_id)
        except SocialError as error:
            if error.action == "refused":
                return await self.give_up(job, work, error.post_code, error.detail)
            return await self.later(job, work, error.post_code, error.detail)
        return await self._deleted(job, work)

    async def later(self, job: Job, work: Step, code: PostCode, detail: str) -> Job:
        """Look again soon, a limited number of times."""
        if job.tries >= TRIES:
            return await self.give_up(job, work, code, detail)
        return await work.write(job, tries=job.tries + 1, next_at=self._next(job), error_code=code, detail=detail)

    async def give_up(self, job: Job, work: Step, code: PostCode, detail: str) -> Job:
        """It counts as online; a person can ask again."""
        _log.info("social.not_deleted", job=job.id, code=code)
        said = f"could not be deleted: {detail}"
        return await work.write(job, state="published", error_code=code, detail=said, tries=0, next_at=None)

    async def _deleted(self, job: Job, work: Step) -> Job:
        return await work.write(job, state="deleted", error_code="", detail="", tries=0, next_at=None)

    def _next(self, job: Job) -> datetime:
        return self._clock.now() + timedelta(seconds=RETRY_S * 2**job.tries)


async def _is_gone(job: Job, client: SocialClient, token: Secret) -> bool:
    """Neither the account's list nor the post's own address has it; one of them alone proves nothing."""
    if any(post.media_id == job.media_id for post in await client.recent(token, job.content.list)):
        return False
    try:
        await client.permalink(token, job.media_id)
    except SocialError as error:
        if error.action == "unreadable":
            return True
        raise
    return False
