"""The few things we ask of git, without the machine's configuration, hooks or prompts, and never by force."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from gateway.backup.policy import AuthorPolicy, RemotePolicy
from gateway.credentials.environment import load_env, prefix_of
from shared.config.paths import Paths
from shared.config.process import child_environment
from shared.errors import ConfigError, Conflict, Unavailable
from shared.secrets.files import Secret

_LIMIT_S = 300.0
_SHOWN = 300
_OPTIONS = ("-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "commit.gpgsign=false")
NAME = "BACKUP_TOKEN"
"""Name of the secret for HTTPS remotes; a tenant's own has the tenant's name in front."""
_USER_VARIABLE, _TOKEN_VARIABLE = "CLAWGATE_GIT_USER", "CLAWGATE_GIT_TOKEN"
_HELPER = (
    f'!f() {{ test "$1" = get && printf "username=%s\\npassword=%s\\n" "${_USER_VARIABLE}" "${_TOKEN_VARIABLE}"; }}; f'
)
"""A credential helper that names the variables only: the token is on no command line and in no file."""


def token_of(paths: Paths, tenant: str, remote: RemotePolicy) -> Secret:
    """The token of a tenant's HTTPS remote, from the vault or ``.env``; empty for other remotes. Reads files.

    Raises:
        ConfigError: there is none; says where to put it.
    """
    if not remote.url.startswith("https://"):
        return Secret("")
    env, own = load_env(paths), f"{prefix_of(tenant)}{NAME}"
    if token := env.get(own) or env.get(NAME):
        return Secret(token)
    raise ConfigError(
        f"the remote of {tenant}, {remote.url}, wants a token, and there is none: `clawgate secrets set {own}` (or "
        f"{NAME}, for all remotes) with one that may write to that repository and nothing else; or use the SSH form, "
        "git@host:path, with a deploy key",
        code="backup.token",
    )


class Repository:
    """A working copy of one remote's branch.

    Args:
        folder: where it lies; made when needed.
        remote: where it belongs.
        token: for an HTTPS remote (`token_of`); empty when none is needed.
    """

    def __init__(self, folder: Path, remote: RemotePolicy, token: Secret = Secret("")) -> None:  # noqa: B008 - frozen
        self.folder = folder
        self._remote = remote
        self._token = token

    async def refresh(self) -> bool:
        """Take the remote's state, whatever was here; false when the branch is not there yet.

        Raises:
            Unavailable: the remote does not answer.
        """
        if not (self.folder / ".git").is_dir():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True, mode=0o700)
            await self._git("init", "--quiet", f"--initial-branch={self._remote.branch}")
        known = await self._git("ls-remote", "--heads", self._remote.url, f"refs/heads/{self._remote.branch}")
        if not known.strip():
            await self._git("update-ref", "-d", f"refs/heads/{self._remote.branch}")
            await self._git("rm", "-rq", "--cached", "--ignore-unmatch", ".")
            await self._git("clean", "-fdxq")
            return False
        await self._git("fetch", "--quiet", "--depth=1", "--no-tags", self._remote.url, self._remote.branch)
        await self._git("reset", "--quiet", "--hard", "FETCH_HEAD")
        await self._git("clean", "-fdxq")
        return True

    async def publish(self, message: str, author: AuthorPolicy) -> str:
        """Commit all that lies in the folder and push it; returns the commit, empty when nothing changed.

        Raises:
            Conflict: somebody else wrote to the branch meanwhile.
            Unavailable: the remote does not take it.
        """
        await self._git("add", "--all", "--force", ".")
        if not (await self._git("status", "--porcelain")).strip():
            return ""
        who = ("-c", f"user.name={author.name}", "-c", f"user.email={author.email}")
        await self._git(*who, "commit", "--quiet", "--no-verify", "-m", message)
        try:
            await self._git("push", "--quiet", self._remote.url, f"HEAD:refs/heads/{self._remote.branch}")
        except Unavailable as error:
            if "non-fast-forward" in error.detail or "fetch first" in error.detail:
                raise Conflict(
                    f"somebody else wrote to branch {self._remote.branch} of the remote; the next run takes that into "
                    "account",
                    code="backup.conflict",
                ) from None
            raise
        return (await self._git("rev-parse", "HEAD")).strip()

    async def _git(self, *words: str) -> str:
        git = shutil.which("git")
        if git is None:
            raise Unavailable("git is not installed: apt-get install git", code="backup.git")
        process = await asyncio.create_subprocess_exec(
            git,
            *_OPTIONS,
            *words,
            cwd=self.folder,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_LIMIT_S):
                said, problems = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise Unavailable(f"git {words[0]} took longer than {_LIMIT_S:.0f} s", code="backup.remote") from None
        if process.returncode:
            told = " ".join(problems.decode(errors="replace").split())[-_SHOWN:]
            raise Unavailable(f"git {_verb(words)} failed: {told}", code="backup.remote")
        return said.decode(errors="replace")

    def _environment(self) -> dict[str, str]:
        ssh = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=20"]
        if self._remote.ssh_key_file:
            ssh += ["-i", self._remote.ssh_key_file, "-o", "IdentitiesOnly=yes"]
        if self._remote.known_hosts_file:
            ssh += ["-o", f"UserKnownHostsFile={self._remote.known_hosts_file}"]
        return child_environment(
            GIT_CONFIG_GLOBAL="/dev/null",
            GIT_CONFIG_NOSYSTEM="1",
            GIT_TERMINAL_PROMPT="0",
            GIT_ASKPASS="true",
            GIT_SSH_COMMAND=" ".join(ssh),
            LC_ALL="C",
            **self._credential(),
        )

    def _credential(self) -> dict[str, str]:
        """Variables that give the token to the remote's own host, and to no other that it might redirect to."""
        if not self._token:
            return {}
        parts = urlsplit(self._remote.url)
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"credential.{parts.scheme}://{parts.netloc}.helper",
            "GIT_CONFIG_VALUE_0": _HELPER,
            _USER_VARIABLE: self._remote.user,
            _TOKEN_VARIABLE: self._token.reveal(),
        }


def _verb(words: tuple[str, ...]) -> str:
    return next(word for word in words if not word.startswith("-") and "=" not in word)
