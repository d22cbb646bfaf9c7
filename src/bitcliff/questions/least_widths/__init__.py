"""Which least width is safe: the worst case when an adversary may not go below it."""
