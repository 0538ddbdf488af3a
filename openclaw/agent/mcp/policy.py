"""``policies/mcp.toml``: which MCP servers the agent may use, and within which bounds."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from openclaw.agent.policy import ToolPattern
from shared.config.paths import Paths
from shared.config.strict import Strict
from shared.config.toml import load_policy

ServerName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,19}$")]
Folder = Annotated[str, Field(pattern=r"^/[^\x00]*$")]
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class McpServerPolicy(Strict):
    """One server; it has either a command or an address.

    Attributes:
        enabled: use it.
        command: program (an absolute path) and arguments of a server that speaks over its input and output. It runs
            contained: it reads system folders and `readable`, and writes in a folder of its own.
        env: further variables of the command. No credentials: the agent's commands are not trusted with any.
        readable: folders it may read and run programs from.
        network: let it speak HTTP to public addresses, through the checking proxy.
        url: address of a server that speaks streamable HTTP: https, or http on this machine. Without credentials.
        tools: which of its tools the agent is offered.
        everywhere: also in channels and for helper agents, and not in the owner's own sessions alone.
        timeout_s: longest call.
    """

    enabled: bool = True
    command: tuple[str, ...] = ()
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field(default_factory=dict)
    readable: tuple[Folder, ...] = ()
    network: bool = False
    url: str = ""
    tools: tuple[ToolPattern, ...] = ("*",)
    everywhere: bool = False
    timeout_s: float = Field(default=60, gt=0, le=600)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError("a server has either a command or a url")
        if self.command and not self.command[0].startswith("/"):
            raise ValueError("the command's program is an absolute path, so that nothing else can take its place")
        if self.url:
            parts = urlsplit(self.url)
            is_plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
            if not parts.hostname or "@" in parts.netloc or not (parts.scheme == "https" or is_plain):
                raise ValueError("the url is https://…, or http:// on this machine, without a user name")
        return self


class McpPolicy(Strict):
    """Everything in ``policies/mcp.toml``.

    Attributes:
        servers: by a short name, which becomes part of their tools' names.
    """

    servers: dict[ServerName, McpServerPolicy] = Field(default_factory=dict)


def load_mcp_policy(paths: Paths) -> McpPolicy:
    """The servers in force.

    Raises:
        ConfigError: each problem with file, line and key.
    """
    return load_policy("mcp", McpPolicy, paths)
