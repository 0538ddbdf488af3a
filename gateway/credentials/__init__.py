"""Credentials of the model providers: read here, used here, and never handed to a tenant or a worker."""
