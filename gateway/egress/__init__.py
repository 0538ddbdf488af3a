"""Web access for agents: what a group may reach, fetched by the gateway, since workers have no network."""
