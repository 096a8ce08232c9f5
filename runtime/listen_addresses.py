"""A check, before a server starts, whether it can listen on an address, and the reason if it cannot."""

import errno
import socket

_REFUSED = (errno.EADDRINUSE, errno.EACCES)


def cannot_listen(host: str, port: int) -> str:
    """Why no server can listen there now, as half a sentence; empty where one can."""
    failed: list[OSError] = []
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        return listen_failure(host, port, error)
    for family, kind, protocol, _, address in places:
        try:
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind(address)
        except OSError as error:
            failed.append(error)
    # A host name may have addresses of a family that this machine does not support.
    refused = [error for error in failed if error.errno in _REFUSED or len(failed) == len(places)]
    return listen_failure(host, port, refused[0]) if refused else ""


def listen_failure(host: str, port: int, error: OSError | UnicodeError) -> str:
    """The message about an address that cannot be had, as half a sentence."""
    why = error.strerror if isinstance(error, OSError) else "no host has such a name"
    return f"port {port} on {host} cannot be had ({why})"
