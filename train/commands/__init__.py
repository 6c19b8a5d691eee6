"""Commands of the workshop that have a module of their own."""
