"""What happens where inputs are drawn otherwise: the worst slice, other weights, another set."""
