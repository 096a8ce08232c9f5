"""A check of texts from the operating system, whose arguments, variables and paths may hold any bytes."""


def is_utf8(text: str) -> bool:
    """Whether the text can be written as UTF-8. Python decodes other bytes to surrogates, which no engine takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
