"""Segments and shards on drives: placement, coding, shard stores, nodes and their health."""
