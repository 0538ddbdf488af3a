"""A small web site and a search for it, on loopback, so that agents of the sandbox have something to read."""

from gateway.sandbox.web.pages import Page
from gateway.sandbox.web.world import WebWorld

__all__ = ["Page", "WebWorld"]
