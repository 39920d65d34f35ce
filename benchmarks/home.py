"""What a running store left in its home for those who measure it."""
