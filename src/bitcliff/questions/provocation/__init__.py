"""On which inputs near the data float is right by a margin, and the quantized network wrong."""
