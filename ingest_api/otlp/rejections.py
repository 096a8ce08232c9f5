"""What of an export is not stored, counted by reason, and the sentence that tells the sender."""

from dataclasses import dataclass, field

from runtime.http_errors import ApiError

_MOST_SENTENCES = 5
REASON_OF = {"trace_id": "trace_id", "span_id": "span_id", "metadata": "metadata", "response": "tokens",
             "startTimeUnixNano": "time", "timeUnixNano": "time", "score": "score"}  # fmt: skip
"""The reason, as metrics have it, by the field at fault."""


@dataclass
class Rejections:
    """The spans or log records of one export that are refused. `items` counts those, and no feedback within a span."""

    items: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    _sentences: dict[str, int] = field(default_factory=dict)

    def add(self, fault: ApiError, *, whole: bool = True) -> None:
        """Count one. `whole`: it is a span or a log record, and not a part of one."""
        self.items += whole
        reason = fault.reason or REASON_OF.get((fault.param or "").partition(".")[0], "other")
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if fault.message in self._sentences or len(self._sentences) < _MOST_SENTENCES:
            self._sentences[fault.message] = self._sentences.get(fault.message, 0) + 1

    @property
    def message(self) -> str:
        """Why, with how often; empty where nothing is refused."""
        counted = [f"{sentence} ({count})" for sentence, count in self._sentences.items()]
        more = sum(self.reasons.values()) - sum(self._sentences.values())
        return "; ".join([*counted, *([f"and {more} more"] if more else [])])
