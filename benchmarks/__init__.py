"""Each program measured in one run beside what a user would otherwise write, and beside the limit."""
