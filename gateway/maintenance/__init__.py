"""What the gateway does by itself, and the ``clawgate maintenance`` command over all processes."""
