"""What the papers compare their systems with, where it is no network of the systems' own."""
