"""The protobuf messages of OTLP, with the attributes of spans and of their events left as bytes.

A span has a dozen attributes, and a Python object for each of them and for its value costs more than all else that is
done with the span. So here the published description of the messages is changed in one point, which protobuf's wire
format allows: a message within a message is written as bytes are. `protobuf_attributes` reads these bytes.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2


def _with_bytes() -> dict[str, Any]:
    """The classes of all messages, by name."""
    spans = descriptor_pb2.FileDescriptorProto()
    trace_pb2.DESCRIPTOR.CopyToProto(spans)
    for message in _messages(spans.message_type):
        if message.name in ("Span", "Event"):
            (attributes,) = (each for each in message.field if each.name == "attributes")
            attributes.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
            attributes.ClearField("type_name")
    pool = descriptor_pool.DescriptorPool()
    for file in (common_pb2, resource_pb2):
        pool.AddSerializedFile(file.DESCRIPTOR.serialized_pb)
    pool.Add(spans)
    files = [each.DESCRIPTOR.name for each in (common_pb2, resource_pb2, trace_pb2)]
    return dict(message_factory.GetMessageClassesForFiles(files, pool))


def _messages(found: Any) -> Any:
    for message in found:
        yield message
        yield from _messages(message.nested_type)


# All of them are kept: protobuf would make the classes of inner messages anew for each export, and leave them to the
# garbage collector.
_CLASSES = _with_bytes()
TRACES: type[Message] = _CLASSES["opentelemetry.proto.trace.v1.TracesData"]
"""The body of an export of spans, whose one field is that of `ExportTraceServiceRequest`."""
LOGS: type[Message] = ExportLogsServiceRequest
