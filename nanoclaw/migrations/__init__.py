"""The history of NanoClaw's schema."""
