"""What the store costs: load generators of our own, their commands and what they print."""
