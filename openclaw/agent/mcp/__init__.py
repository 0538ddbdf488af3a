"""Tools of MCP servers listed in ``policies/mcp.toml``. The ``mcp`` package is imported when there is one."""
