"""The longer commands, one a module: a plain function each, registered by a line in cli.py."""
