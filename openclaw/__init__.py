"""The OpenClaw tenant: a Discord bot, the v3 WebSocket gateway and the Control UI on one port."""
