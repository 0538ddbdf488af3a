"""The history of OpenClaw's schema."""
