"""The long campaign: `python -m tests.chaos`."""
