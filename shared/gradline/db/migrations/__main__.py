"""`python -m gradline.db.migrations upgrade`: the migrations as a command, with the database from the settings."""

import argparse
import sys
from pathlib import Path

from gradline.db.migrations import current, downgrade, head, upgrade
from gradline.db.session import Database
from gradline.errors import DependencyDown
from gradline.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """0 once the schema is where it was asked to be; 1 where the database does not answer or is behind."""
    asked = _parser().parse_args(arguments)
    database = Database(Settings().database)
    if database.is_sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        if asked.command == "upgrade":
            upgrade(database, asked.revision)
        elif asked.command == "downgrade":
            downgrade(database, asked.revision)
        found = current(database)
    except DependencyDown as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    finally:
        database.close()
    sys.stdout.write(f"the database is at {found or 'base'}; the newest revision is {head()}\n")
    return int(asked.command == "current" and found != head())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gradline.db.migrations", description="Move the database's schema.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("upgrade", help="to the newest revision").add_argument("revision", nargs="?", default="head")
    commands.add_parser("downgrade", help="back to a revision, or to base").add_argument("revision")
    commands.add_parser("current", help="show the revision; exit code 1 unless it is the newest")
    return parser


if __name__ == "__main__":
    sys.exit(main())
