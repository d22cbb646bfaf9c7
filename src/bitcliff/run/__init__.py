"""One run from names to files: load, assess, record, verdict, report."""
