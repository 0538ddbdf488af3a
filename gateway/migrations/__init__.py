"""History of the gateway's schema."""
