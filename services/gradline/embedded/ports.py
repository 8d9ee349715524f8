"""Ports on this machine."""

import socket


def choose_port(host: str, wanted: int, taken: set[int] | None = None) -> int:
    """The wanted port where it is free, else another that is. 0 wants any."""
    if wanted and wanted not in (taken or set()) and is_free(host, wanted):
        return wanted
    return _any_port(host)


def is_free(host: str, port: int) -> bool:
    try:
        _bind(host, port).close()
    except OSError:
        return False
    return True


def _any_port(host: str) -> int:
    with _bind(host, 0) as listener:
        port: int = listener.getsockname()[1]
    return port


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1)  # binding alone succeeds beside a listener that reuses addresses
    except OSError:
        listener.close()
        raise
    return listener
