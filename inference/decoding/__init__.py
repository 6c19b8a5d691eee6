"""From the bytes of a file to stored pixels, with limits on everything that a file may ask for."""
