"""The command's words and exit codes, in a process of its own."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from gradline.cli.doctor import Verdict, look_at_home
from gradline.settings import Settings

GRADLINE = Path(sys.executable).parent / "gradline"
NOBODY = "http://127.0.0.1:9"
"""A port on which nothing listens."""


def gradline(*words: str, folder: Path, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GRADLINE_")}
    return subprocess.run(
        [GRADLINE, *words],
        env={**inherited, "GRADLINE_HOME": str(folder / "home"), **env},
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_lists_every_command_of_the_design(tmp_path: Path) -> None:
    ran = gradline("--help", folder=tmp_path)
    words = set(ran.stdout.split())
    promised = (
        "up demo api worker conductor relay submit watch jobs show cancel examples doctor upload db key --version"
    )
    assert set(promised.split()) <= words
    assert ran.returncode == 0


def test_the_version_is_printed_where_people_look_for_it(tmp_path: Path) -> None:
    ran = gradline("--version", folder=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, version("gradline") + "\n")


@pytest.mark.parametrize("command", ["up", "demo", "db upgrade"])
def test_a_data_folder_that_cannot_be_made_is_refused_with_the_mend(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    ran = gradline(*command.split(), folder=tmp_path, GRADLINE_HOME=str(tmp_path / "file"))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert str(tmp_path / "file") in ran.stderr
    assert "GRADLINE_HOME" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_data_folder_that_takes_no_files_is_found_by_the_doctor() -> None:
    """Permissions do not say so: root may write everywhere."""
    (folder, *_) = look_at_home(Settings(home=Path("/proc/nowhere")))
    assert folder.verdict is Verdict.FAIL


def test_a_file_that_is_not_there_is_named_in_words(tmp_path: Path) -> None:
    ran = gradline("submit", "nowhere.json", folder=tmp_path)
    assert (ran.returncode, ran.stderr) == (2, "gradline: nowhere.json cannot be read: No such file or directory\n")


def test_help_loads_nothing_heavy() -> None:
    heavy = [
        "sqlalchemy",
        "celery",
        "redis",
        "httpx2",
        "pydantic",
        "alembic",
        "gradline.settings",
        "gradline.embedded.stack",
    ]
    code = f"import sys, gradline.cli.main; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "words", [["jobs"], ["show", "1"], ["submit", "--example", "x"], ["watch", "1"], ["cancel", "1"]]
)
def test_a_server_that_is_away_is_exit_code_3(words: list[str], tmp_path: Path) -> None:
    ran = gradline(*words, folder=tmp_path, GRADLINE_URL=NOBODY)
    assert ran.returncode == 3
    assert f"the API at {NOBODY} does not answer" in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (["submit"], "", "name a FILE or an --example"),
        (["submit", "job.json", "--example", "x"], "", "name a FILE or an --example"),
        (["submit", "nowhere.json"], "", "nowhere.json cannot be read"),
        (["submit", "-"], "{", "no JSON"),
        (["submit", "-"], "[1]", "holds no job"),
        (["upload", "nowhere.csv"], "", "nowhere.csv"),
        (["worker", "--lane", "moon"], "", "moon"),
        (["no-such-command"], "", "no-such-command"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what(words: list[str], stdin: str, said: str, tmp_path: Path) -> None:
    ran = gradline(*words, folder=tmp_path, stdin=stdin, GRADLINE_URL=NOBODY)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    ran = gradline("jobs", folder=tmp_path, GRADLINE_PORT="99999")
    assert ran.returncode == 2
    assert "GRADLINE_PORT: Input should be less than or equal to 65535 (it is '99999')" in ran.stderr


def test_doctor_on_an_empty_folder_warns_and_does_not_fail(tmp_path: Path) -> None:
    ran = gradline("doctor", folder=tmp_path, GRADLINE_URL=NOBODY)
    lines = ran.stdout.splitlines()
    assert ran.returncode == 0, ran.stdout
    assert any(line.startswith("warn API") and "gradline up" in line for line in lines)
    assert any(line.startswith("ok   torch          2.") for line in lines)
    assert not (tmp_path / "home").exists(), "it only looks"


def test_doctor_fails_where_the_given_redis_is_away(tmp_path: Path) -> None:
    ran = gradline("doctor", folder=tmp_path, GRADLINE_URL=NOBODY, GRADLINE_REDIS_URL="redis://127.0.0.1:9/0")
    assert ran.returncode == 1
    assert "fail Redis          GRADLINE_REDIS_URL does not answer" in ran.stdout


def test_a_key_needs_the_schema_and_is_shown_once(tmp_path: Path) -> None:
    assert "gradline db upgrade" in gradline("key", "create", "ci", folder=tmp_path).stderr
    upgraded = gradline("db", "upgrade", folder=tmp_path)
    assert upgraded.returncode == 0, upgraded.stderr
    assert "already" in gradline("db", "upgrade", folder=tmp_path).stderr
    created = gradline("key", "create", "ci", folder=tmp_path)
    assert created.stdout.startswith("gl_")
    key_id = created.stderr.split()[1]
    assert gradline("key", "revoke", key_id, folder=tmp_path).returncode == 0
    assert gradline("key", "revoke", key_id, folder=tmp_path).returncode == 2


def test_an_address_that_is_no_web_address_is_wrong_usage_and_not_a_server_that_is_away(tmp_path: Path) -> None:
    ran = gradline("jobs", folder=tmp_path, GRADLINE_URL="127.0.0.1:8000")
    assert ran.returncode == 2
    assert "GRADLINE_URL: must begin with http:// or https://" in ran.stderr
