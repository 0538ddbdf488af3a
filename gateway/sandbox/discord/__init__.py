"""An emulator of Discord's REST API v10 and gateway, with a page on which people talk to the bots."""
