"""OpenClaw's part of the security audit (`openclaw security audit`)."""
