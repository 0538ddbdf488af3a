"""Which folder a session works in, and what in it may be changed.

The owner's main session works in the agent's own workspace; its commands run in the folder ``commands`` there. Every
other session has a folder of its own, so that what is said in a channel never changes what the agent is told about
itself. Skills can be read everywhere.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final

from openclaw.agent.policy import WorkspacePolicy
from openclaw.agent.prompt import WorkspaceTexts
from openclaw.agent.tools import ToolContext
from openclaw.agent.workspace.folder import FILE_BYTES, Folder
from openclaw.agent.workspace.names import RESULTS, SKILLS
from openclaw.agent.workspace.skills import list_skills, skills_prompt
from openclaw.agent.workspace.standing import read_standing
from openclaw.sessions import is_helper, is_private
from shared.config.paths import Paths
from shared.errors import Denied, GatewayError
from shared.ids import slug
from shared.standing_files import STANDING_FILES

COMMANDS: Final = "commands"
_KEPT_RESULTS: Final = 20
_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class Places:
    """The folders of all sessions of one tenant."""

    def __init__(self, tenant: str, paths: Paths) -> None:
        self._tenant = tenant
        self._paths = paths
        self.workspace = paths.tenant(tenant) / "workspace"
        self.skill_folders = (self.workspace / SKILLS, paths.tenant(tenant) / SKILLS)

    def root(self, session_key: str) -> Path:
        """Where a session's files are."""
        if is_private(session_key):
            return self.workspace
        return self._paths.session_workspace(self._tenant, slug(session_key, limit=60))

    def commands(self, session_key: str) -> Path:
        """Where a session's commands run: the only folder they can write in."""
        root = self.root(session_key)
        return root / COMMANDS if is_private(session_key) else root

    def folder(self, session_key: str) -> Folder:
        """A session's files."""
        return Folder(self.root(session_key))

    def reading(self, path: str, context: ToolContext) -> tuple[Folder, str]:
        """Where a path is read from: the session's folder, or for ``skills/…`` wherever that skill lies."""
        own = self.folder(context.session_key)
        names = own.names(path)
        if names[:1] == (SKILLS,) and len(names) > 1:
            below = "/".join(names[1:])
            for place in self.skill_folders:
                folder = Folder(place, read_only=True)
                if folder.is_folder(names[1]):
                    return folder, below
        return own, "/".join(names)

    def changing(self, path: str, context: ToolContext) -> tuple[Folder, str]:
        """Where a path is written.

        Raises:
            Denied: it is one of the files that tell the agent what to do, and the conversation holds words from
                outside, which may have asked for the change.
        """
        folder = self.folder(context.session_key)
        names = folder.names(path)
        if context.outside and is_private(context.session_key) and is_standing(names):
            raise Denied(
                f"{path} tells every later conversation what to do, and this conversation has read something that "
                "anybody may have written, so it is not changed now. Tell the person what you wanted to write there: "
                "they can edit it in the Control UI, or ask again right after /new.",
                code="files.standing",
            )
        return folder, "/".join(names)

    def texts(self, session_key: str, policy: WorkspacePolicy) -> WorkspaceTexts:
        """What the workspace adds to a session's prompt."""
        files = read_standing(
            Folder(self.workspace, read_only=True),
            private=is_private(session_key),
            helper=is_helper(session_key),
            file_chars=policy.file_chars,
        )
        return WorkspaceTexts(files, skills_prompt(list_skills(self.skill_folders)))

    async def keep_result(self, session_key: str, name: str, text: str) -> str:
        """Keep a long result for the `read` tool; returns its path. The oldest make room."""
        folder = self.folder(session_key)
        path = f"{RESULTS}/{_NAME.sub('-', name)[:120]}.txt"
        await asyncio.to_thread(_keep, folder, path, text)
        return path


def is_standing(names: tuple[str, ...]) -> bool:
    """Whether a file becomes part of later prompts: a standing file, or a skill."""
    if not names:
        return False
    return names[0].lower() == SKILLS or (
        len(names) == 1 and names[0].lower() in {name.lower() for name in STANDING_FILES}
    )


def _keep(folder: Folder, path: str, text: str) -> None:
    folder.write(path, text.encode(errors="replace")[:FILE_BYTES])
    place = folder.root / RESULTS
    kept = sorted((entry.stat().st_mtime_ns, entry.name) for entry in place.iterdir() if not entry.is_symlink())
    for _, name in kept[:-_KEPT_RESULTS]:
        try:
            folder.remove(f"{RESULTS}/{name}")
        except GatewayError:
            continue
