"""Publishing at Threads and Instagram exactly once, with people in charge."""
