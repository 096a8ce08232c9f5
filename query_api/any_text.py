"""The end of a route's path that holds any text, as `{trace_id:any_text}`: slashes and line ends too."""

from starlette.convertors import Convertor, register_url_convertor

ANY_TEXT = "any_text"
"""What a route writes behind the name of such a parameter."""


class _AnyText(Convertor[str]):
    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor(ANY_TEXT, _AnyText())
