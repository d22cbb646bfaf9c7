"""Small networks of our own, for training and as controls."""
