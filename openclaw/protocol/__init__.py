"""The v3 WebSocket protocol: frames, the handshake's checks, events and methods. Nothing here does I/O of its own."""
