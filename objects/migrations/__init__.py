"""Migrations of the objects app."""
