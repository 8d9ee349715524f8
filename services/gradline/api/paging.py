"""Opaque keyset cursors, bound to the filters of the list they came from."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from gradline.errors import InputFault, InvalidInput

LIMIT_MAX = 200
_VERSION = 1
Item = TypeVar("Item")


def encode_cursor(last_id: UUID, filters: Mapping[str, Any]) -> str:
    """Where the next page begins: after `last_id`."""
    raw = bytes([_VERSION]) + last_id.bytes + _digest(filters)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_cursor(cursor: str | None, filters: Mapping[str, Any]) -> UUID | None:
    """Raises InvalidInput for a cursor that is not ours, or that came from a list with other filters."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise _bad(cursor, "is not a cursor; pass `next_cursor` of an earlier answer as it stands") from error
    if len(raw) != 25 or raw[0] != _VERSION:
        raise _bad(cursor, "is not a cursor; pass `next_cursor` of an earlier answer as it stands")
    if raw[17:] != _digest(filters):
        raise _bad(cursor, "came from a list with other filters; repeat them, or leave the cursor out")
    return UUID(bytes=raw[1:17])


def page(
    found: Sequence[Item], limit: int, filters: Mapping[str, Any], id_of: Callable[[Item], UUID]
) -> tuple[Sequence[Item], str | None]:
    """One page of `limit + 1` rows that were asked for, and the cursor of the next if there is one."""
    if len(found) <= limit:
        return found, None
    return found[:limit], encode_cursor(id_of(found[limit - 1]), filters)


def _digest(filters: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(filters, sort_keys=True).encode()).digest()[:8]


def _bad(cursor: str, reason: str) -> InvalidInput:
    return InvalidInput([InputFault("cursor", cursor, reason)])
