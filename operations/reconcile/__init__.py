"""Compares stored rows with those computed from the journal, and repairs them."""
