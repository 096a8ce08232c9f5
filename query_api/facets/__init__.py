"""How often each value of a field occurs."""
