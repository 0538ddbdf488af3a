"""The trusted process: credentials, model proxy, worker containers, supervision, and the offline world."""
