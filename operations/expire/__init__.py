"""Removes traces without recent events."""
