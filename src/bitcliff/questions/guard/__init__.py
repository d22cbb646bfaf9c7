"""Which inputs must be run again in float, and what that guarantees."""
