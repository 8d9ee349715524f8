"""The `gradline` command: its words, its options, its exit codes.

Exit codes: 0 done; 1 the job failed or was cancelled; 2 wrong usage or refused input; 3 something needed does not
answer; 130 Ctrl-C. Each command imports what it needs when it runs, so that `gradline --help` is quick.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from gradline.cli.output import Output
from gradline.errors import CallerError, DependencyDown, InputFault, InvalidInput

if TYPE_CHECKING:
    from gradline.cli.client import Client
    from gradline.settings import Settings

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
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How data is written.")]

app.add_typer(db, name="db")
app.add_typer(key, name="key")


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        print(version("gradline"))
        raise typer.Exit


@app.callback(help=app.info.help)
def _options(
    _is_version_asked: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


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

    raise typer.Exit(run(_settings(), port, workers, mlflow_port))


@app.command()
def demo() -> None:
    """Train two models on this machine before your eyes, then stop."""
    from gradline.cli.demo import demo as run

    raise typer.Exit(run(_settings()))


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


@app.command()
def submit(
    file: Annotated[
        str | None, typer.Argument(help="A job as JSON ({kind, spec, …}), - for stdin, or a .py program of autograd.")
    ] = None,
    example: Annotated[str | None, typer.Option(help="Submit this example; `gradline examples` lists them.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Watch it to its end.")] = False,
    output: OutputOption = Output.TABLE,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key again gives the same job.")] = None,
) -> None:
    """Submit a job; its id on stdout, or with --follow its result."""
    from gradline.cli import jobs

    if (file is None) == (example is None):
        raise typer.BadParameter("name a FILE or an --example, one of the two")
    body = jobs.read_body(file) if file is not None else None
    with _client() as client:
        body = body or jobs.example_body(client, str(example))
        raise typer.Exit(jobs.submit(client, body, follow=follow, output=output, key=idempotency_key))


@app.command()
def watch(job_id: JobId, output: OutputOption = Output.TABLE) -> None:
    """Watch a job to its end; Ctrl-C leaves it running."""
    from gradline.cli import jobs

    with _client() as client:
        raise typer.Exit(jobs.watch_one(client, client.job(job_id), output))


@app.command("jobs")
def list_jobs(
    status: Annotated[str | None, typer.Option(help="queued, running, succeeded, failed or cancelled.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None,
    label: Annotated[str | None, typer.Option(help="KEY:VALUE.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest so many.")] = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """List jobs, newest first."""
    from gradline.cli import jobs

    with _client() as client:
        jobs.show_jobs(client.list_jobs(limit, status=status, kind=kind, label=label), output)


@app.command()
def show(job_id: JobId, output: OutputOption = Output.TABLE) -> None:
    """Show a job and its result."""
    from gradline.cli import jobs

    with _client() as client:
        jobs.show(client.job(job_id), output)


@app.command()
def cancel(job_id: JobId, output: OutputOption = Output.ID) -> None:
    """Ask a job to stop."""
    from gradline.cli import jobs
    from gradline.cli.terminal import say

    with _client() as client:
        job = client.cancel(job_id)
    say("Cancelled." if job["status"] == "cancelled" else "Asked to stop; it does within a second or two.")
    jobs.show(job, output)


@app.command()
def examples(output: OutputOption = Output.TABLE) -> None:
    """List jobs that are ready to submit."""
    from gradline.cli import jobs

    with _client() as client:
        jobs.show_examples(client.list_examples(), output)


@app.command()
def upload(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A CSV or Parquet file.")],
    name: Annotated[str | None, typer.Option(help="Its name; default: the file's.")] = None,
    format: Annotated[str | None, typer.Option(help="csv or parquet; default: the file's ending.")] = None,  # noqa: A002
    output: OutputOption = Output.TABLE,
) -> None:
    """Upload a data set; its columns on stdout."""
    from gradline.cli import jobs

    with _client() as client:
        jobs.show_dataset(client.upload(file, name, format), output)


@app.command()
def predict(
    job_id: JobId,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="Rows as CSV.")],
    output: Annotated[Output, typer.Option("--output", "-o", help="How data is written: table is CSV.")] = Output.TABLE,
    interval: Annotated[float | None, typer.Option(help="Intervals of the mean too, at a level such as 0.95.")] = None,
    contributions: Annotated[bool, typer.Option("--contributions", help="What each column contributes too.")] = False,
) -> None:
    """Predict the rows of a CSV file, a line each."""
    from gradline.cli import jobs

    asked = {"contributions": contributions} | ({} if interval is None else {"interval": interval})
    with _client() as client:
        jobs.show_predictions(client.predict(job_id, file, asked), output)


@app.command()
def doctor() -> None:
    """Say what is wrong here, and the mend."""
    from gradline.cli.doctor import doctor as run

    raise typer.Exit(run(_settings()))


@db.command()
def upgrade() -> None:
    """Bring the database's schema to this version's."""
    from gradline.cli.admin import upgrade_database

    upgrade_database(_settings())


@key.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What or whom the key is for.")],
    owner: Annotated[str, typer.Option(help="Whose jobs it opens; `local` are those made without a key.")] = "local",
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; default: never.")] = None,
) -> None:
    """Make a key; it is printed this once, on stdout."""
    from gradline.cli import admin

    admin.create_key(_settings(), name, owner, days)


@key.command("revoke")
def revoke_key(key_id: Annotated[UUID, typer.Argument(help="The key's id, not the key.")]) -> None:
    """Make a key open nothing any more."""
    from gradline.cli import admin

    admin.revoke_key(_settings(), key_id)


def _client() -> "Client":
    from gradline.cli.client import Client

    return Client.of(_settings())


def _settings() -> "Settings":
    """The settings of the environment; raises InvalidInput naming each variable that is wrong."""
    from pydantic import ValidationError

    from gradline.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        raise InvalidInput([_wrong_setting(fault) for fault in error.errors(include_url=False)]) from error


def _wrong_setting(fault: Any) -> InputFault:
    name = "GRADLINE_" + "_".join(str(part) for part in fault["loc"]).upper() if fault["loc"] else "settings"
    return InputFault(name, fault["input"] if fault["loc"] else None, fault["msg"].removeprefix("Value error, "))


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
