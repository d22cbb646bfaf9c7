"""What every room may know of: rates, subjects and examples. Imports nothing of Bitcliff's own."""
