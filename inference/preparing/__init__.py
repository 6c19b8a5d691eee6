"""From stored pixels to the picture a network reads, and back again."""
