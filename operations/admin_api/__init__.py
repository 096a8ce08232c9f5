"""The operator's commands over HTTP, for callers with the scope `admin`."""
