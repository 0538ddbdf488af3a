"""A small real MCP server for tests: over its input and output, or with a port over streamable HTTP."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from mcp.server.fastmcp import FastMCP

server = FastMCP("small", port=int(sys.argv[1]) if len(sys.argv) > 1 else 0, log_level="ERROR")


@server.tool()
def echo(text: str) -> str:
    """Say it again."""
    return f"you said {text}"


@server.tool()
def flood(count: int) -> str:
    """Say much."""
    return "x" * count


@server.tool()
async def slow() -> str:
    """Take long."""
    await asyncio.sleep(30)
    return "done"


@server.tool()
def look(path: str) -> str:
    """Read a file of the machine."""
    return Path(path).read_text()


@server.tool()
def keep(text: str) -> str:
    """Write into the working directory."""
    Path("kept.txt").write_text(text)
    return Path.cwd().name


@server.tool()
def leave() -> str:
    """End the process."""
    os._exit(3)


if __name__ == "__main__":
    server.run("streamable-http" if len(sys.argv) > 1 else "stdio")
