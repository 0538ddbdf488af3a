"""What the agent can find again: a full-text index over its notes and conversations, and the tools that ask it."""
