"""Removing all that one person left."""
