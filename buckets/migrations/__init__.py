"""Schema of `buckets`."""
