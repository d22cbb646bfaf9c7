"""Which inputs are at risk, and what they have in common."""
