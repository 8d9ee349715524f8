"""The `gradline` command: its words, its options, its exit codes.

Exit codes: 0 done; 1 the job failed or was cancelled; 2 wrong usage or refused input; 3 something needed does not
answer; 130 Ctrl-C. Each command imports what it needs when it runs, so that `gradline --help` is quick.
"""

import sys
from typing import Annotated

import typer

from gradline.errors import CallerError, DependencyDown, InvalidInput

app = typer.Typer(
    name="gradline",
    help="Train logistic regressions through a job queue, watch them live, compare them in MLflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
db = typer.Typer(help="The database's schema.", no_args_is_help=True)
key = typer.Typer(help="Keys that open the API.", no_args_is_help=True)
app.add_typer(db, name="db")
app.add_typer(key, name="key")


@app.command()
def up(
    port: Annotated[
        int | None, typer.Option(help="Port of the API; 0 for any. Default: GRADLINE_PORT or 8000.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Jobs trained at once on the CPU. Default: one less than there are cores.")
    ] = None,
    mlflow_port: Annotated[int, typer.Option(help="Port of MLflow; 0 for any.")] = 5000,
) -> None:
    """Run everything on this machine, until Ctrl-C."""
    from gradline.cli.up import up as run
    from gradline.settings import Settings

    raise typer.Exit(run(Settings(), port, workers, mlflow_port))


@app.command()
def api() -> None:
    """Run the API."""
    from gradline.cli.processes import become

    become("api")


@app.command()
def worker(lane: Annotated[str, typer.Option(help="cpu, gpu or drawing.")] = "cpu") -> None:
    """Run a worker of one lane."""
    from gradline.cli.processes import become

    become("worker", "--lane", lane)


@app.command()
def conductor() -> None:
    """Run the conductor."""
    from gradline.cli.processes import become

    become("conductor")


@app.command()
def relay() -> None:
    """Run the relay to MLflow."""
    from gradline.cli.processes import become

    become("relay")


def main() -> None:
    try:
        app()
    except InvalidInput as error:
        _fail(2, *(_fault_line(fault.field, fault.value, fault.reason) for fault in error.faults))
    except CallerError as error:
        _fail(2, error.message)
    except DependencyDown as error:
        _fail(3, error.message)


def _fault_line(field: str, value: object, reason: str) -> str:
    return f"{field}: {reason}" + (f" (it is {value!r})" if value is not None else "")


def _fail(code: int, *lines: str) -> None:
    from gradline.cli.terminal import say

    for line in lines:
        say(f"gradline: {line}", "red")
    sys.exit(code)
