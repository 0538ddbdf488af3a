"""Secrets at rest: files of mode 0600 and, in the gateway, the vault."""
