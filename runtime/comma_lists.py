"""Lists in the text of a setting, with commas between their parts. Pure."""


def parts_of(text: str) -> list[str]:
    """The parts of a list, trimmed. A comma at its end is ignored. Any other empty part stays: a slip to be refused."""
    parts = [each.strip() for each in text.split(",")]
    return parts[:-1] if not parts[-1] else parts
