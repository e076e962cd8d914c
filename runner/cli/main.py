"""`supernaut`: its verbs, and the one place where errors become messages and exit codes.

Verbs live beside this file and import what they need when they run, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from runner.cli import (
    bundles,
    check,
    data,
    db,
    extensions,
    fidelity,
    fronts,
    info,
    models,
    serve,
    studies,
    tokens,
    watching,
    worker,
)
from runner.cli.common import fail
from runner.errors import FAILED, INTERRUPTED, OK, UNEXPECTED, USAGE, exit_code
from runner.process import heed_quota
from runner.settings import Home

app = typer.Typer(
    name="supernaut",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Neural architecture search: from a study file to a measured front and a verified model.",
    epilog="Exit codes: 0 ok, 1 a fault in Supernaut, 2 usage, 3 not found, 4 conflict, 5 server unreachable, "
    "6 study failed, 130 interrupted.",
)


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            help="State folder.  Default: $SUPERNAUT_HOME, else ~/.local/state/supernaut.", show_default=False
        ),
    ] = None,
) -> None:
    """Choose the state folder."""
    context.obj = Home.find(home)


for module in (
    studies,
    watching,
    fronts,
    check,
    models,
    bundles,
    fidelity,
    data,
    db,
    extensions,
    info,
    serve,
    worker,
    tokens,
):
    module.register(app)


def main() -> NoReturn:
    """Run a verb; end the process with its exit code."""
    heed_quota()
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except typer.TyperException as error:
        if message := error.format_message():  # empty where the help was printed instead
            fail(f"{message}\nTry 'supernaut --help', or --help after a verb.")
        sys.exit(USAGE)
    except (KeyboardInterrupt, typer.Abort):
        fail("interrupted; what was measured is kept, and the same command goes on")
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # whoever read our output has left: nobody's mistake
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(OK)
        raise
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        fail(
            f"{error.strerror or error}{where}. Free space or fix the permissions, and run the same command again; "
            "what was measured is kept."
        )
        sys.exit(FAILED)
    except Exception as error:  # noqa: BLE001  (the border: nothing may reach the user as a traceback)
        code = exit_code(error)
        if code is None:
            fail(f"unexpected {type(error).__name__}: {error}\n{_keep_traceback()}")
            sys.exit(UNEXPECTED)
        fail(str(error))
        sys.exit(code)


def _keep_traceback() -> str:
    import tempfile

    try:
        with tempfile.NamedTemporaryFile("w", prefix="supernaut-crash-", suffix=".txt", delete=False) as file:
            traceback.print_exc(file=file)
    except OSError as error:
        return f"This is a fault in Supernaut, and its details could not be kept: {error}."
    return f"This is a fault in Supernaut; what was measured is kept.  Please report it with {file.name}."


if __name__ == "__main__":
    main()
