"""The generator of the JSON Schema and AsyncAPI files in docs/: `python -m schemas.export`.

The files are for readers in any language. They are generated and committed; a test fails if they are out of date.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from schemas.events import FeedbackEvent, RequestLogged
from schemas.outputs import OUTPUTS
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS, TOPICS, Topic

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def message_schema(topic: str) -> dict[str, Any]:
    """The JSON Schema of a topic's message values."""
    model: Any = {FEEDBACK_EVENTS: FeedbackEvent, REQUEST_LOGS: RequestLogged, **OUTPUTS}[topic]
    return {"$schema": _DIALECT, "title": topic, **TypeAdapter(model).json_schema(by_alias=True)}


def asyncapi() -> dict[str, Any]:
    """The topics as an AsyncAPI 3.0 document, which refers to the files of the message schemas beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Feedback API topics",
            "version": "1.0.0",
            "description": "Events in, joined feedback and exact aggregates out. Keep the highest version per key.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {
            topic.name.replace(".", "-"): {
                "action": "receive" if topic.name in (FEEDBACK_EVENTS, REQUEST_LOGS) else "send",
                "channel": {"$ref": f"#/channels/{topic.name}"},
            }
            for topic in TOPICS
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": topic.name,
        "payload": {"$ref": f"schemas/{topic.name}.json"},
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.keyed_by}}},
    }
    if topic.compacted:
        message["headers"] = {
            "type": "object",
            "properties": {"version": {"type": "string", "description": "The version, also on tombstones."}},
        }
    kafka: dict[str, Any] = {"cleanup.policy": ["compact" if topic.compacted else "delete"]}
    if topic.retention_ms:
        kafka["retention.ms"] = topic.retention_ms
    return {
        "address": topic.name,
        "description": topic.about,
        "messages": {"message": message},
        "bindings": {"kafka": {"topic": topic.name, "topicConfiguration": kafka}},
    }


def files() -> dict[str, str]:
    """All generated files: path below docs/ → text."""
    documents = {f"schemas/{topic.name}.json": message_schema(topic.name) for topic in TOPICS}
    documents["asyncapi.json"] = asyncapi()
    return {path: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for path, document in documents.items()}


def main() -> None:
    docs = Path(__file__).parent.parent / "docs"
    (docs / "schemas").mkdir(parents=True, exist_ok=True)
    for path, text in files().items():
        (docs / path).write_text(text)


if __name__ == "__main__":
    main()
