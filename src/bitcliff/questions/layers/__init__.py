"""Which layers break."""
