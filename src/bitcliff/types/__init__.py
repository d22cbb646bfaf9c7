"""What every room may know of: settings, rates, subjects and examples. Imports only errors."""
