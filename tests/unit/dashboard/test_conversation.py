"""Messages of a conversation, with the pictures that they hold or name."""

from typing import Any

import pytest

from dashboard.conversation import Message, conversation
from dashboard.pictures import Picture

PNG = "data:image/png;base64,iVBORw0KGgo="


def parts(*content: Any) -> tuple[Any, ...]:
    (message,) = conversation({"messages": [{"role": "user", "content": list(content)}]}, None)
    return message.parts


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": PNG},
        {"type": "input_image", "image_url": PNG},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
    ],
)
def test_a_picture_that_is_in_a_message_is_held(part: Any) -> None:
    assert parts(part) == (Picture(held=PNG),)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "input_image", "image_url": "https://example.com/cat.png"},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}},
    ],
)
def test_a_picture_elsewhere_is_a_link(part: Any) -> None:
    assert parts(part) == (Picture(link="https://example.com/cat.png"),)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "javascript:alert(1)",
            "data:text/html,<b>",
            "data:image/svg+xml;base64,PHN2Zz4=",
            "//example.com",
            "a b",
            "",
        ),
        *("data:image/png;base64,<", "https://example.com/a b", None, 5, {}, {"url": []}),
    ],
)
def test_whatever_else_is_called_a_picture_is_neither(address: Any) -> None:
    for part in (
        {"type": "image_url", "image_url": address},
        {"type": "image", "source": address},
        {"type": "image", "source": {"type": "url", "url": address}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/svg+xml", "data": address}},
        {"type": "input_image", "file_id": address},
    ):
        assert parts(part) == (Picture(),)


def test_texts_that_follow_each_other_are_one_and_pictures_keep_their_place() -> None:
    picture = {"type": "input_image", "image_url": PNG}
    said = parts({"type": "text", "text": "What"}, "is", picture, {"type": "text", "text": "this?"}, {"type": "file"})
    assert said == ("What\nis", Picture(held=PNG), "this?\n[file]")
    assert conversation({"prompt": ["", "a"], "system": []}, {"content": None}) == [Message("user", ("a",))]
