"""What other people's runtimes make of the network, and where the simulation parts from them."""
