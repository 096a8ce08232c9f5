"""`feedback up`: everything on one machine, supervised."""
