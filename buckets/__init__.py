"""Buckets and their rules."""
