"""Operators' commands over HTTP, for callers with the scope `admin`."""
