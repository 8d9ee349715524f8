"""Who is asking: keys, and what holds while there is none."""

import hmac
import time
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

import anyio
from fastapi import Request

from gradline.api.errors import Refused
from gradline.db.api_keys import ApiKeyStore, hash_key
from gradline.errors import Unauthorized
from gradline.settings import Settings

LOCAL_OWNER = "local"
"""Owner of everything asked without a key, and with the key of the settings."""
KEYS_MAX_AGE_S = 5.0
"""A revoked key opens nothing after this long."""


@dataclass(frozen=True)
class _Keys:
    owners: dict[str, str]
    """The owner behind the hash of each key that opens."""
    is_needed: bool
    read_at: float


class Gate:
    """Finds the owner behind a request.

    While no key exists and the service listens on loopback only, everything belongs to `local`; then the names in
    `Host` and `Origin` must be this machine's, or any web page could use the service through its reader's browser.
    """

    def __init__(self, settings: Settings, store: ApiKeyStore) -> None:
        self._settings = settings
        self._store = store
        self._keys: _Keys | None = None

    async def owner_of(self, request: Request) -> str:
        """Raises Unauthorized, or Refused for a foreign web page."""
        keys = await self._fresh_keys()
        if not keys.is_needed:
            _refuse_foreign_page(request)
            return LOCAL_OWNER
        sent = _key_in(request)
        if sent is None:
            raise Unauthorized("a key is needed: send `Authorization: Bearer …` or `X-API-Key: …`")
        digest = hash_key(sent)
        for known, owner in keys.owners.items():
            if hmac.compare_digest(known, digest):
                return owner
        raise Unauthorized("this key opens nothing: it is unknown, revoked or expired")

    def needs_key(self) -> bool:
        """Whether any key is configured or was ever made."""
        return self._settings.api_key is not None or self._store.has_any()

    async def _fresh_keys(self) -> _Keys:
        keys = self._keys
        if keys is None or time.monotonic() - keys.read_at > KEYS_MAX_AGE_S:
            keys = self._keys = await anyio.to_thread.run_sync(self._read)
        return keys

    def _read(self) -> _Keys:
        began = time.monotonic()
        owners = self._store.owners_by_hash()
        if self._settings.api_key is not None:
            owners[hash_key(self._settings.api_key.get_secret_value())] = LOCAL_OWNER
        is_needed = bool(owners) or self.needs_key() or not is_loopback(self._settings.host)
        return _Keys(owners, is_needed, began)


def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _key_in(request: Request) -> str | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return request.headers.get("x-api-key")


def _refuse_foreign_page(request: Request) -> None:
    """DNS rebinding shows in `Host`, a form or script of another site in `Origin`."""
    for header, address in (("Host", request.headers.get("host")), ("Origin", request.headers.get("origin"))):
        if address is not None and not is_loopback(_name_in(address)):
            detail = f"{header} is {address!r}: without a key only this machine's own names may be used"
            raise Refused(403, "host_not_allowed", detail)


def _name_in(address: str) -> str:
    try:
        return urlsplit(address if "//" in address else f"//{address}").hostname or ""
    except ValueError:
        return ""
