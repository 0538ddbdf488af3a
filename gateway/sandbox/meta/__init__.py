"""Emulators of Threads and Instagram: sign-in, tokens, publishing, and a page of what is online."""

from gateway.sandbox.meta.world import MetaWorld

__all__ = ["MetaWorld"]
