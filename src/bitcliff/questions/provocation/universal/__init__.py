"""Whether one trigger for all inputs turns a quantized network, and not float, to one class."""
