"""The NanoClaw tenant: a Discord bot whose agent is Claude in a locked container per group."""
