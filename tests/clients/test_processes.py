"""What becomes of a queue when its process ends or is forked."""

import os
import subprocess
import sys

from tests.clients.receiver import Receiver


def run(receiver: Receiver, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "FEEDBACK_URL": receiver.url, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_what_is_queued_is_sent_when_the_process_ends(receiver: Receiver) -> None:
    ended = run(
        receiver,
        """
import feedback_client
client = feedback_client.Client(linger_s=60)
client.feedback(1, trace_id="own")
feedback_client.feedback(2, trace_id="default")
""",
        FEEDBACK_API_KEY="fbk_from_environment",
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(receiver.trace_ids) == ["default", "own"]
    assert {headers["x-portkey-api-key"] for _, headers, _ in receiver.calls} == {"fbk_from_environment"}


def test_a_process_ends_in_bounded_time_although_the_server_is_away(receiver: Receiver) -> None:
    receiver.stop()
    ended = run(
        receiver,
        """
import feedback_client
feedback_client.Client(exit_timeout_s=0.1).feedback(1, trace_id="t")
""",
    )
    assert ended.returncode == 0
    assert "the client was closed before they could be sent" in ended.stderr or "trying again" in ended.stderr


def test_a_forked_child_sends_its_own_and_the_parent_keeps_its_items(receiver: Receiver) -> None:
    ended = run(
        receiver,
        """
import os, sys
import feedback_client
client = feedback_client.Client(linger_s=60)
client.feedback(1, trace_id="before")
child = os.fork()
if child == 0:
    assert client.counts.queued == 0
    client.feedback(1, trace_id="child")
    assert client.flush(30)
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
client.feedback(1, trace_id="parent")
assert client.flush(30)
assert client.counts == feedback_client.Counts(queued=2, sent=2), client.counts
""",
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(receiver.trace_ids) == ["before", "child", "parent"]
    assert len(receiver.events) == 3
