"""How float and quantized networks stand corrupted images."""
