"""Posts as tenants deal with them: the agent's tools, and the cards by which people decide."""
