"""One drive seen from a client: the `ShardStore` protocol and its implementations."""
