"""What the owner is told in a chat, once for each event: kept here until a tenant has it in its own outbox."""
