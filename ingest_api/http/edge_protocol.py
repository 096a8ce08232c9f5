"""The protocol of one connection of the edge: with timeouts and limits for the client, and coalesced writes."""

from ingest_api.http.coalesced_write import CoalescedWriteProtocol
from runtime.idle_clients import ClientTimeoutProtocol


class EdgeProtocol(ClientTimeoutProtocol, CoalescedWriteProtocol):
    """Both together."""
