"""Whether brittleness could have been told in float."""
