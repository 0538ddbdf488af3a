"""Starts the gateway and the tenants as processes of their own, and starts them again when they die."""
