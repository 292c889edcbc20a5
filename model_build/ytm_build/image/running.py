"""Running the tools that an image is made with, and saying what they said when they fail."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from ytm_bundle.errors import ImageError

_LAST_LINES = 12


def run(words: Sequence[str], fix: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a tool to its end and give its standard output.

    Args:
        words: its name and arguments.
        fix: what to do where it is missing or fails.
        environment: its whole environment; this process's unless given.

    Raises:
        ImageError: it is missing or failed; with the end of what it said.
    """
    try:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ImageError(f"{words[0]}: is not installed; {fix}") from error
    if done.returncode != 0:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-_LAST_LINES:])
        raise ImageError(f"{words[0]}: failed with {done.returncode}; {fix}\n{said}")
    return done.stdout
