"""Emulators of the model upstreams, all answered by one scripted model."""

from gateway.sandbox.models.world import ModelWorld

__all__ = ["ModelWorld"]
