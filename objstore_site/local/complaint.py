"""What keeps a store from starting, said to a person."""

from __future__ import annotations


class Complaint(Exception):
    """One clear sentence; the runner prints it and ends with exit code 1."""
