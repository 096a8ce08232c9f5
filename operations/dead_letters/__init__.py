"""Records that could not become rows: listed, shown, and sent through again."""
