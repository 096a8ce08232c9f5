"""When a started program serves: what it is asked until it says yes. The caller bounds the wait."""

import asyncio
import http.client
from collections.abc import Callable

from deploy.supervise import Program


async def until_http_200(host: str, port: int, path: str) -> None:
    """Return once a GET is answered with 200."""
    await _until(lambda: _answers(host, port, path))


async def until_it_has_written(program: Program, words: str) -> None:
    """Return once the running process has written these words."""
    await _until(lambda: words in program.output())


async def _until(condition: Callable[[], bool]) -> None:
    while True:
        if await asyncio.to_thread(condition):
            return
        await asyncio.sleep(0.1)


def _answers(host: str, port: int, path: str) -> bool:
    # Not with urllib, which would ask a proxy that the environment names.
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
