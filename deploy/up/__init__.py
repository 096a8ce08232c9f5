"""`feedback up`: runs and supervises everything on one machine."""
