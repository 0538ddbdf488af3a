"""Tenants of an installation: which there are, adding one, removing one."""
