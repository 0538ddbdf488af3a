"""Files of ours that the networks fetch: kept, made into JPEGs, and served on short-lived signed paths."""
