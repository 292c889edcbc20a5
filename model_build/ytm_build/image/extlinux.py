"""The file from which NVIDIA's boot loader takes the kernel's parameters.

When a board is flashed, NVIDIA's flash.sh writes root=, consoles and more at the end of every
APPEND line of it.
"""

from __future__ import annotations

from ytm_bundle.errors import ImageError

PATH = "boot/extlinux/extlinux.conf"
AS_DELIVERED = "nvidia"
"""The label under which the entry stays that NVIDIA delivered."""
_QUIET = "quiet loglevel=0 vt.global_cursor_default=0 systemd.show_status=no"
# Nobody is there to be asked whether /data may be repaired.
_ALWAYS = "panic=10 fsck.repair=yes"


def parameters(console: str | None) -> str:
    """What the kernel is told.

    Args:
        console: where it speaks, such as ttyTCU0; None lets it be silent.
    """
    return f"{_ALWAYS} console={console}" if console else f"{_ALWAYS} {_QUIET}"


def with_parameters(text: str, console: str | None) -> str:
    """`text`, an extlinux.conf, with our parameters in its default entry; the old one stays.

    Raises:
        ImageError: it has no default entry with a line APPEND, or has one that is ours.
    """
    lines = text.splitlines()
    name = _value(lines, "DEFAULT")
    begins = [at for at, line in enumerate(lines) if _word(line) == "LABEL"]
    begin = next((at for at in begins if lines[at].split()[1:] == [name]), None)
    if name is None or begin is None:
        raise ImageError(f"{PATH}: names no default entry; unpack NVIDIA's BSP again")
    if any(lines[at].split()[1:] == [AS_DELIVERED] for at in begins):
        raise ImageError(f"{PATH}: has an entry {AS_DELIVERED!r} already; give NVIDIA's own BSP")
    end = begin + 1
    while end < len(lines) and lines[end][:1].isspace():
        end += 1
    entry = lines[begin:end]
    append = next((at for at, line in enumerate(entry) if _word(line) == "APPEND"), None)
    if append is None:
        raise ImageError(f"{PATH}: entry {name!r} has no line APPEND; unpack NVIDIA's BSP again")
    ours = [*entry]
    delivered = [word for word in ours[append].split() if word != "quiet"]
    indent = ours[append][: len(ours[append]) - len(ours[append].lstrip())]
    ours[append] = indent + " ".join([*delivered, parameters(console)])
    theirs = [f"LABEL {AS_DELIVERED}", *entry[1:]]
    return "\n".join([*lines[:begin], *ours, "", *theirs, *lines[end:], ""])


def _word(line: str) -> str:
    return (line.split() or [""])[0].upper()


def _value(lines: list[str], word: str) -> str | None:
    found = next((line.split() for line in lines if _word(line) == word), [])
    return found[1] if len(found) > 1 else None
