"""Operator commands: `cluster` and `drive`."""
