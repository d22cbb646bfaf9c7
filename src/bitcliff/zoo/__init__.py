"""Small networks of our own: their architecture, and weights trained by the committed configs."""
