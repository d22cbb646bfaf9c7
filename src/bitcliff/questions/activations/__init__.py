"""What rounding does to the values at each point."""
