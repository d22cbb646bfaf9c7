"""Two numerics, or runtimes, on the same network and data: what differs, and from which layer."""
