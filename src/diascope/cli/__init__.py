"""The command line: one file a command, each thin, with its heavy imports inside the function."""

import sys
from errno import EACCES, EDQUOT, EFBIG, ENOSPC, EPERM, EROFS

import typer

from diascope.cli.audit import audit
from diascope.cli.augment import augment
from diascope.cli.cache import cache
from diascope.cli.demo import demo
from diascope.cli.explain import explain
from diascope.cli.plan import plan
from diascope.cli.probe import probe
from diascope.cli.recipes import recipes
from diascope.cli.report import report
from diascope.cli.run import run
from diascope.cli.schema import schema
from diascope.cli.test import test
from diascope.cli.tune import tune
from diascope.core.errors import DiascopeError
from diascope.core.version import VERSION

app = typer.Typer(
    name="diascope",
    help="Train image classifiers, compare them fairly, and see what they really look at.\n\nStart with: diascope demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (demo, run, plan, report, explain, probe, test, tune, audit, augment, recipes, schema, cache):
    app.command()(command)

_OF_THE_DISK = {
    **dict.fromkeys((ENOSPC, EDQUOT, EFBIG), "free some space, or name another folder"),
    **dict.fromkeys((EACCES, EPERM, EROFS), "check its permissions, or name another folder"),
}


def _version(asked: bool) -> None:
    if asked:
        print(f"diascope {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 some runs failed, 2 something in the input must change, 130 stopped.

    `diascope audit`: 0 nothing found, 1 warnings, 3 errors.
    """
    try:
        app()
    except DiascopeError as error:
        _say_error(str(error))
        sys.exit(2)
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _say_error(f"{place}{error.strerror}; {_OF_THE_DISK[error.errno]}")
        sys.exit(2)


def _say_error(what: str) -> None:
    from diascope.cli.terminal import say  # rich, which not every command needs

    say(f"error: {what}", error=True)
