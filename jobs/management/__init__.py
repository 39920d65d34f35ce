"""Management commands of `jobs`."""
