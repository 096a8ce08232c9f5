"""How one consumer batch moves through a worker: read, looked up, joined, stored, published, committed."""
