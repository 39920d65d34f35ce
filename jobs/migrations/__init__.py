"""Schema of `jobs`."""
