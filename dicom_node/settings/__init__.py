"""Every decision an administrator may take; a module for each table of `config/node.toml`."""
