"""Client of a Feedback API server for Python apps.

`feedback_client.feedback(5)` gives feedback on the current trace through a client that is made from FEEDBACK_URL and
FEEDBACK_API_KEY at the first use. `Client` is for those who need another one.
"""

from feedback_client.client import Client
from feedback_client.default_client import default_client, feedback, log
from feedback_client.send_queue import Counts
from feedback_client.trace import tag, trace_id, use_trace
from feedback_client.vote_tokens import vote_token

__all__ = ["Client", "Counts", "default_client", "feedback", "log", "tag", "trace_id", "use_trace", "vote_token"]
