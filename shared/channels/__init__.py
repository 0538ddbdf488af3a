"""Chat platforms: values that cross their border, durable inbox and outbox, and one package a platform."""
