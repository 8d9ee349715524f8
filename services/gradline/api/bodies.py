"""Reading JSON bodies: strictly, up to a limit, with the place named where one breaks."""

import json
from typing import Annotated, Any, NoReturn

from fastapi import Depends, Request

from gradline.api.errors import Refused
from gradline.errors import InputFault, InvalidInput, TooLarge


async def read_json(request: Request) -> Any:
    """The body's value; refuses NaN, a name given twice, and NUL characters (PostgreSQL keeps none)."""
    _check_media_type(request)
    max_bytes = request.app.state.services.settings.body_max_bytes
    return parse_json(await read_bytes(request, max_bytes, "GRADLINE_BODY_MAX_BYTES"))


def parse_json(raw: bytes) -> Any:
    """As `read_json`, of bytes that have been read."""
    try:
        body = json.loads(raw, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Refused(400, "malformed_json", f"the body is no JSON: {error.msg} at {where}") from error
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Refused(400, "malformed_json", f"the body is no JSON that can be read: {error}") from error
    if rb"\u0000" in raw:
        _refuse_nul(body, "")
    return body


JsonBody = Annotated[Any, Depends(read_json)]


def _check_media_type(request: Request) -> None:
    # A web page of another site may send other types without asking the browser's leave.
    if media_type_of(request) != "application/json":
        raise wrong_media_type(request, "application/json")


def media_type_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def wrong_media_type(request: Request, wanted: str) -> Refused:
    sent = media_type_of(request)
    detail = f"Content-Type is {sent!r}: send {wanted}" if sent else f"send Content-Type: {wanted}"
    return Refused(415, "unsupported_media_type", detail)


async def read_bytes(request: Request, max_bytes: int, setting: str) -> bytes:
    """The body as it came; raises TooLarge past the limit, which the setting names."""
    too_large = TooLarge(f"the body is larger than the limit of {max_bytes} bytes ({setting})")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise too_large
    blocks, size = [], 0
    async for block in request.stream():
        size += len(block)
        if size > max_bytes:
            raise too_large
        blocks.append(block)
    return b"".join(blocks)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} stands twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _refuse_nul(value: Any, path: str) -> None:
    if isinstance(value, str) and "\0" in value:
        raise InvalidInput([InputFault(path or "body", value, "holds a NUL character")])
    if isinstance(value, dict):
        for name, member in value.items():
            _refuse_nul(name, path)
            _refuse_nul(member, f"{path}.{name}" if path else name)
    if isinstance(value, list):
        for i, member in enumerate(value):
            _refuse_nul(member, f"{path}[{i}]")
