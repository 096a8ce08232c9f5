"""Removes all data of one person."""
