"""A client of the OpenClaw gateway's WebSocket protocol, version 3, and the device identity it needs."""
