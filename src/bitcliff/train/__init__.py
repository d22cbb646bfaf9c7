"""Training: one crash-safe loop, and the stages of the paper that run in it."""
