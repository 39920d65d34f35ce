"""Schema of zones, nodes, drives, segments and shards."""
