"""Emulators of Threads and Instagram: for now their sign-in and token endpoints."""

from gateway.sandbox.meta.world import MetaWorld

__all__ = ["MetaWorld"]
