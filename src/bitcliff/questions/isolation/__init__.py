"""Whose prediction changes with its batch-mates."""
