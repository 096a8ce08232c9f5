"""Removing traces on which nothing has happened for long."""
