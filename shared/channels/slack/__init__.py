"""Slack over Socket Mode, as a `Channel`."""
