"""Addresses to which the dashboard sends a viewer: paths of this server, whoever has named them. Pure."""


def own_path(text: str | None, otherwise: str = "/logs") -> str:
    """The path that is named, if it is one of this server."""
    # Browsers read a backslash as a slash, two slashes as another server, and leave out what is not printable.
    if text and text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable():
        return text
    return otherwise
