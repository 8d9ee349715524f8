"""Whether a process answers. Each probe returns at once or within its timeout, and never raises."""

import http.client
import socket
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

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
    url = "unix://" + url.removeprefix("redis+socket://") if url.startswith("redis+socket://") else url
    try:
        client = redis.Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
        )
    except ValueError:  # no URL of a Redis
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
