"""HTTP both ways: listeners for our ASGI applications, clients for our upstreams, and server-sent events."""
