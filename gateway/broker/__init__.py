"""The per-tenant socket: who may call, and what a tenant may ask for."""
