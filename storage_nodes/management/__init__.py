"""Commands of the storage floor."""
