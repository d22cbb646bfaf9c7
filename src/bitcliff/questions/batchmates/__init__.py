"""Whose answer changes with the company it keeps."""
