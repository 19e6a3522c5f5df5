"""Ports of loopback."""

import socket


def free_port() -> int:
    """Return a port on which nobody listened a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
