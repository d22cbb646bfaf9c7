"""Many runs of other commands at once: on local processes or on Ray."""
