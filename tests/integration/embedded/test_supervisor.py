"""The supervisor with real processes: order, restarts, and that nothing is left behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from gradline.embedded.child import Program
from gradline.embedded.stack import BESIDE
from gradline.embedded.supervisor import Supervisor
from gradline.errors import DependencyDown
from tests.integration.embedded.processes import PARENT, SLEEPER, STUBBORN, alive_in_sessions, is_alive, python_program
from tests.waiting import wait_until

Start = Callable[..., Supervisor]


@pytest.fixture
def announced() -> list[str]:
    return []


@pytest.fixture
def start(tmp_path: Path, announced: list[str]) -> Iterator[Start]:
    started: list[Supervisor] = []

    def start(*programs: Program, grace_s: float = 10.0) -> Supervisor:
        supervisor = Supervisor(programs, tmp_path / "logs", grace_s, announced.append)
        started.append(supervisor)
        supervisor.start()
        return supervisor

    yield start
    hurry = threading.Event()
    hurry.set()
    for supervisor in started:
        supervisor.stop(hurry)


def test_a_program_waits_for_those_that_it_comes_after(start: Start, tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    first = python_program("first", SLEEPER, is_ready=sign.exists)
    supervisor = start(first, python_program("second", SLEEPER, after=("first",)))
    wait_until(lambda: "first" in supervisor.pids())
    assert not supervisor.wait_until_ready(["second"], timeout_s=0.5)
    assert "second" not in supervisor.pids()
    sign.touch()
    assert supervisor.wait_until_ready(["second"], timeout_s=10)
    assert set(supervisor.pids()) == {"first", "second"}


def test_what_dies_is_started_again_and_said_so(start: Start, announced: list[str]) -> None:
    supervisor = start(python_program("sleeper", SLEEPER))
    supervisor.wait_until_ready(["sleeper"], timeout_s=10)
    killed = supervisor.pids()["sleeper"]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: supervisor.pids().get("sleeper", killed) != killed)
    assert len(announced) == 1
    assert announced[0].startswith("sleeper ended (signal SIGKILL); starting it again in 0.5 s")


def test_what_a_dead_program_had_started_dies_before_its_successor_starts(start: Start) -> None:
    supervisor = start(python_program("parent", PARENT))
    supervisor.wait_until_ready(["parent"], timeout_s=10)
    killed = supervisor.pids()["parent"]
    wait_until(lambda: len(alive_in_sessions([killed])) == 2)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: supervisor.pids().get("parent", killed) != killed)
    assert alive_in_sessions([killed]) == set()


def test_stopping_goes_from_the_highest_layer_to_the_lowest(start: Start, tmp_path: Path) -> None:
    order = tmp_path / "order"
    farewell = (
        "import pathlib, signal, sys, time\n"
        "def leave(*_):\n"
        f"    time.sleep(0.2); open({str(order)!r}, 'a').write(sys.argv[1] + ' '); sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave)\n"
        f"pathlib.Path({str(tmp_path)!r}, sys.argv[1]).touch()\n"
        "time.sleep(600)\n"
    )
    programs = [
        Program(name, [sys.executable, "-c", farewell, name], layer=layer, is_ready=(tmp_path / name).exists)
        for name, layer in (("redis", 0), ("api", 1), ("worker", 2))
    ]
    supervisor = start(*programs)
    assert supervisor.wait_until_ready(["redis", "api", "worker"], timeout_s=20)
    supervisor.stop()
    assert order.read_text().split() == ["worker", "api", "redis"]


def test_stopping_leaves_nothing_even_of_what_does_not_listen(start: Start, tmp_path: Path) -> None:
    supervisor = start(
        python_program("stubborn", STUBBORN, is_ready=lambda: "deaf" in (tmp_path / "logs/stubborn.log").read_text()),
        python_program("parent", PARENT, is_ready=lambda: "deaf" in (tmp_path / "logs/parent.log").read_text()),
        grace_s=0.5,
    )
    assert supervisor.wait_until_ready(["stubborn", "parent"], timeout_s=20)
    sessions = set(supervisor.pids().values())
    assert len(alive_in_sessions(sessions)) == 3
    supervisor.stop()
    assert alive_in_sessions(sessions) == set()


def test_in_a_hurry_nothing_is_waited_for(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "stubborn.log"
    supervisor = start(python_program("stubborn", STUBBORN, is_ready=lambda: "deaf" in log.read_text()), grace_s=600)
    assert supervisor.wait_until_ready(["stubborn"], timeout_s=20)
    pid = supervisor.pids()["stubborn"]
    hurry = threading.Event()
    stopping = threading.Thread(target=supervisor.stop, args=(hurry,))
    stopping.start()
    stopping.join(1.0)
    assert stopping.is_alive(), "it still has its grace"
    hurry.set()
    stopping.join(10.0)
    assert not stopping.is_alive()
    assert not is_alive(pid)


def test_a_program_beside_training_leaves_it_the_processor_though_each_has_a_session_of_its_own(start: Start) -> None:
    busy = f"import os\nos.sched_setaffinity(0, {{{max(os.sched_getaffinity(0))}}})\nwhile True: pass"
    supervisor = start(python_program("beside", busy, niceness=BESIDE), python_program("training", busy))
    wait_until(lambda: len(supervisor.pids()) == 2)
    training, beside = (psutil.Process(supervisor.pids()[name]) for name in ("training", "beside"))
    wait_until(lambda: training.cpu_times().user > 1.0, 60)
    assert beside.cpu_times().user < 0.6  # a third, and what it took to start


def test_waiting_for_what_cannot_start_ends_with_its_log(start: Start) -> None:
    supervisor = start(python_program("broken", "raise SystemExit('no such planet')", is_ready=lambda: False))
    with pytest.raises(DependencyDown, match="no such planet"):
        supervisor.wait_until_ready(["broken"], timeout_s=20)


def test_what_dies_before_it_was_ready_is_announced_with_its_error(start: Start, announced: list[str]) -> None:
    start(python_program("broken", "import no_such_planet", is_ready=lambda: False))
    wait_until(lambda: any("ModuleNotFoundError: No module named 'no_such_planet'" in line for line in announced), 10)


def test_a_program_waits_no_longer_than_asked_and_the_other_is_not_ready_for_that(start: Start) -> None:
    never = python_program("never", SLEEPER, is_ready=lambda: False, waited_for_s=0.2)
    supervisor = start(never, python_program("after", SLEEPER, after=("never",)))
    assert supervisor.wait_until_ready(["after"], 10)
    assert not supervisor.wait_until_ready(["never"], 0.0)


def test_a_command_that_does_not_exist_is_reported_not_fatal(start: Start, announced: list[str]) -> None:
    supervisor = start(
        Program("nowhere", ["/no/such/binary"], is_ready=lambda: False), python_program("sleeper", SLEEPER)
    )
    with pytest.raises(DependencyDown, match="nowhere does not start"):
        supervisor.wait_until_ready(["nowhere"], timeout_s=20)
    assert supervisor.wait_until_ready(["sleeper"], timeout_s=10)
    assert announced[0].startswith(
        "nowhere ended (exit code 1: FileNotFoundError: [Errno 2] No such file or directory)"
    )


SUPERVISOR_TO_BE_KILLED = """
import sys, time
from pathlib import Path
from gradline.embedded.supervisor import Supervisor
from tests.integration.embedded.processes import PARENT, SLEEPER, STUBBORN, python_program

programs = [python_program("sleeper", SLEEPER), python_program("stubborn", STUBBORN), python_program("parent", PARENT)]
supervisor = Supervisor(programs, Path(sys.argv[1]), 1.0, print)
supervisor.start()
supervisor.wait_until_ready([program.name for program in programs], 20)
print(*supervisor.pids().values(), flush=True)
time.sleep(600)
"""


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR_TO_BE_KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        sessions = {int(pid) for pid in process.stdout.readline().split()}
        wait_until(lambda: len(alive_in_sessions(sessions)) == 4, what="three programs and the child of one")
        wait_until(lambda: (tmp_path / "stubborn.log").read_text().endswith("deaf\n"))
        process.kill()
    wait_until(lambda: alive_in_sessions(sessions) == set(), timeout_s=15)
