"""How many submits the API takes, and how long one takes: one uvicorn process, SQLite, a real broker, one machine.

`python benchmarks/submit_rate.py` prints a table. The load comes from one process over kept-alive connections, so both
share the machine's cores; the job is the notes' example, and nothing trains. `cpu ms`, the API's processor time a job,
says most on a machine that other work keeps busy; `client` is the sender's own.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import psutil
from warm_stack import used_s, wait_until

from gradline.db import migrations
from gradline.db.session import Database
from gradline.embedded.ports import choose_port
from gradline.embedded.probes import answers_http, answers_redis
from gradline.embedded.redis_server import own_redis

WARM_UP = 100


@dataclass(frozen=True)
class Load:
    """One way of sending, and what came of it."""

    name: str
    seconds: float
    latencies_s: list[float]
    cpu_s: float
    """Processor time of the API meanwhile."""
    client_s: float
    """Processor time of the sender."""

    def row(self) -> str:
        cuts = statistics.quantiles(self.latencies_s, n=100, method="inclusive")
        rate = len(self.latencies_s) / self.seconds
        p50, p95, p99, top = (1e3 * s for s in (cuts[49], cuts[94], cuts[98], max(self.latencies_s)))
        times = "".join(f"{value:>9.1f}" for value in (p50, p95, p99, top))
        cpus = "".join(f"{1e3 * seconds / len(self.latencies_s):>9.2f}" for seconds in (self.cpu_s, self.client_s))
        return f"{self.name:<28}{len(self.latencies_s):>8}{rate:>11.1f}{times}{cpus}"


COLUMNS = ("p50 ms", "p95 ms", "p99 ms", "max ms", "cpu ms", "client")
HEADER = f"{'load':<28}{'jobs':>8}{'jobs/s':>11}" + "".join(f"{name:>9}" for name in COLUMNS)


class Meter:
    """Wall and processor time since it was made."""

    def __init__(self, api_pid: int) -> None:
        self._api = psutil.Process(api_pid)
        self.began = time.perf_counter()
        self._api_began_s, self._client_began_s = used_s(self._api), time.process_time()

    def read(self, name: str, latencies_s: list[float]) -> Load:
        seconds, api_s = time.perf_counter() - self.began, used_s(self._api) - self._api_began_s
        return Load(name, seconds, latencies_s, api_s, time.process_time() - self._client_began_s)


class Connection:
    """One kept-alive HTTP/1.1 connection that sends the same submit again and again."""

    def __init__(self, port: int, body: bytes) -> None:
        self._port = port
        head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        self._request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def submit(self) -> None:
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        answer = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(f"the API answered {head!r} {answer!r}")

    def close(self) -> None:
        self._writer.close()


async def closed_loop(pid: int, connections: list[Connection], seconds: float) -> Load:
    """Each connection sends its next submit when the last is answered: what the API can take."""
    latencies: list[float] = []
    meter = Meter(pid)

    async def send(connection: Connection) -> None:
        while (sent := time.perf_counter()) < meter.began + seconds:
            await connection.submit()
            latencies.append(time.perf_counter() - sent)

    await asyncio.gather(*(send(connection) for connection in connections))
    return meter.read(f"{len(connections)} senders, as fast as can", latencies)


async def open_loop(pid: int, connections: list[Connection], rate: float, seconds: float) -> Load:
    """Submits at fixed times, whatever the answers do; latency counts from the time it was due."""
    latencies: list[float] = []
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)
    meter = Meter(pid)

    async def send(due: float) -> None:
        connection = await free.get()
        await connection.submit()
        latencies.append(time.perf_counter() - due)
        free.put_nowait(connection)

    async with asyncio.TaskGroup() as tasks:
        for i in range(int(rate * seconds)):
            due = meter.began + i / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(send(due))
    return meter.read(f"{rate:g} a second", latencies)


async def measure(pid: int, port: int, seconds: float) -> None:
    example = json.loads((files("gradline.api.examples") / "notes-logistic-regression.json").read_bytes())
    body = json.dumps(example["body"]).encode()
    connections = [Connection(port, body) for _ in range(32)]
    for connection in connections:
        await connection.open()
    for i in range(WARM_UP):
        await connections[i % 32].submit()
    print(f"{os.getloadavg()[0]:.1f} programs wanted {os.cpu_count()} cores in the last minute")
    print(HEADER)
    for n in (1, 8, 32):
        print((await closed_loop(pid, connections[:n], seconds)).row(), flush=True)
    print((await open_loop(pid, connections, 100.0, seconds)).row())
    for connection in connections:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Submits per second of the API")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each load")
    parser.add_argument("--database-url", default="", help="default: SQLite in a fresh folder")
    seconds, url = vars(parser.parse_args()).values()
    with tempfile.TemporaryDirectory(prefix="gradline-bench-") as folder:
        home, port = Path(folder), choose_port("127.0.0.1", 0)
        url = url or f"sqlite:///{home / 'gradline.db'}"
        database = Database(url)
        migrations.upgrade(database)
        database.close()
        broker = own_redis(home)
        env = {"GRADLINE_HOME": folder, "GRADLINE_PORT": str(port), "GRADLINE_LOG_LEVEL": "WARNING"}
        env |= {"GRADLINE_DATABASE_URL": url, "GRADLINE_REDIS_URL": broker.url}
        with (
            subprocess.Popen(broker.command, stdout=subprocess.DEVNULL) as redis_process,
            subprocess.Popen([sys.executable, "-m", "gradline.api.main"], env=os.environ | env) as api_process,
        ):
            try:
                wait_until(lambda: answers_redis(broker.url), 60)
                wait_until(lambda: answers_http(f"http://127.0.0.1:{port}/livez"), 60)
                asyncio.run(measure(api_process.pid, port, seconds))
            finally:
                api_process.terminate()
                api_process.wait()
                redis_process.terminate()


if __name__ == "__main__":
    main()
