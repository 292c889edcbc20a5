"""The edge of every command: one clear line for an error, one exit code, no traceback."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console

from ytm_bundle.errors import UsageError, YtmError

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

messages = Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Tell the person at the terminal something, on standard error, without markup."""
    messages.print(message, markup=False)


def command(function: Callable[..., Any], **context: Any) -> Callable[[], None]:
    """Make the entry point of a command of one function, with its flags and its `--help`.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. `context` is click's.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.command(context_settings=context)
    @functools.wraps(function)
    def interruptible(*arguments: Any, **flags: Any) -> None:
        try:
            function(*arguments, **flags)
        except KeyboardInterrupt:
            # Caught here, since typer would call it "Aborted!" and exit with 1.
            say("interrupted; the same command again goes on from what is finished")
            raise typer.Exit(EXIT_INTERRUPTED) from None

    def main() -> None:
        try:
            app()
        except UsageError as error:
            say(f"error: {error}")
            sys.exit(EXIT_USAGE)
        except YtmError as error:
            say(f"error: {error}")
            sys.exit(EXIT_FAILURE)

    return main
