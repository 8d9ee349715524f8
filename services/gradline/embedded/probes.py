"""Whether a process answers. Each probe returns at once or within its timeout, and never raises."""

import http.client
import socket
from urllib.parse import urlsplit

import redis

from gradline.lanes import connect_redis

PROBE_TIMEOUT_S = 0.5


def answers_http(url: str, timeout_s: float = PROBE_TIMEOUT_S) -> bool:
    """Whether a GET is answered with 200."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def answers_redis(url: str, timeout_s: float = PROBE_TIMEOUT_S) -> bool:
    """Whether a PING is answered."""
    try:
        client = connect_redis(url, timeout_s)
    except ValueError:  # no address of a Redis
        return False
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def answers_socket(path: str, timeout_s: float = PROBE_TIMEOUT_S) -> bool:
    """Whether a Redis behind a Unix socket answers; needs no client library."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(path)
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
