"""Commands that wait for a person: asked once, decided once, run at most once, and told to the conversation."""
