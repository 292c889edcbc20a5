"""What can be found, how bad it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """The exit codes of the Monitoring Plugins guidelines."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


_BY_BADNESS = (Level.OK, Level.UNKNOWN, Level.WARNING, Level.CRITICAL)


@dataclass(frozen=True)
class Kind:
    """A finding that there can be."""

    level: Level
    remedy: str
    """What to do, for somebody who stands before the mirror."""


_LOGS = "`journalctl -b -u ytm-SERVICE` says why"
KINDS = {
    "mirror.absent": Kind(
        Level.UNKNOWN,
        "start the mirror (`systemctl start ytm.target`), or give the folder it runs in by"
        " `--run-dir`",
    ),
    "mirror.unjudged": Kind(
        Level.UNKNOWN, "run `ytm-health` again; if it says the same, report it with this line"
    ),
    "service.missing": Kind(
        Level.CRITICAL, f"`systemctl restart ytm-SERVICE`; if it does not stay, {_LOGS}"
    ),
    "service.starting": Kind(Level.WARNING, f"wait a minute; if it is still starting, {_LOGS}"),
    "service.failed": Kind(
        Level.CRITICAL, f"`systemctl reset-failed ytm-SERVICE` and start it; {_LOGS}"
    ),
    "service.silent": Kind(Level.CRITICAL, f"`systemctl restart ytm-SERVICE`; {_LOGS}"),
    "service.stuck": Kind(
        Level.CRITICAL,
        f"wait for its watchdog, or `systemctl restart ytm-SERVICE`; {_LOGS}; if it comes again,"
        " restart the board",
    ),
    "service.unreadable": Kind(
        Level.CRITICAL,
        "run `ytm-health` as root or in the group `ytm`; else remove the file and"
        " `systemctl restart ytm-SERVICE`",
    ),
    "service.incomplete": Kind(
        Level.WARNING,
        "`systemctl restart ytm-SERVICE`; if it stays, service and `ytm-health` are of different"
        " versions: install one version of both",
    ),
    "service.restarted": Kind(Level.WARNING, f"nothing at once; if it comes again, {_LOGS}"),
    "service.problem": Kind(
        Level.WARNING, "what it says; the show goes on meanwhile, and it mends itself when it can"
    ),
    "service.descriptors": Kind(
        Level.WARNING, "`systemctl restart ytm-SERVICE` after hours, and report it: it leaks"
    ),
    "settings.problem": Kind(
        Level.WARNING,
        "mend the file and key it names, then `ytm-mirror ctl reload`; the last good settings hold"
        " until then",
    ),
    "control.problem": Kind(
        Level.WARNING, "make room and the right owner in the run folder, then restart the service"
    ),
    "clock.unset": Kind(
        Level.WARNING,
        "connect the board to a network with a time server (`timedatectl` shows it); until then"
        " it is always open and never night",
    ),
    "bundle.problem": Kind(
        Level.WARNING, "install a whole bundle again; the one before goes on meanwhile"
    ),
    "bundle.differs": Kind(
        Level.WARNING,
        "wait for the next change of stills; if it stays, `systemctl restart ytm.target`",
    ),
    "bus.rejected": Kind(
        Level.WARNING, "restart all services (`systemctl restart ytm.target`), so that they agree"
    ),
    "frame.none": Kind(Level.WARNING, "check the camera's cable and that no other program uses it"),
    "frame.old": Kind(
        Level.WARNING, "check the camera's cable; unplug it for five seconds and plug it in again"
    ),
    "reflect.slow": Kind(
        Level.WARNING,
        "see whether the board is hot, throttled or busy (`top`), and that its power mode is right",
    ),
    "reflect.bad_answers": Kind(
        Level.WARNING, "install the bundle again; build its engines anew on this board"
    ),
    "latency.high": Kind(Level.WARNING, "see whether the board is hot, throttled or busy (`top`)"),
    "engine.on_cpu": Kind(
        Level.WARNING,
        "build the engines for this board (`ytm-build-engine`); the CPU answers until then",
    ),
    "camera.unsteady": Kind(
        Level.WARNING, "exchange the camera's cable, then its hub or port, then the camera"
    ),
    "light.dark": Kind(Level.WARNING, "take off the lens cap, or give the room more light"),
    "light.bright": Kind(Level.WARNING, "turn the camera away from the window or lamp"),
    "presence.stuck": Kind(
        Level.WARNING,
        "see what the camera sees: a banner or a screen that moves? Turn it away, or lower"
        " `presence.sensitivity`",
    ),
    "sound.no_card": Kind(
        Level.CRITICAL, "check the sound card's cable and power, and `sound.pcm` in the settings"
    ),
    "sound.muted": Kind(Level.WARNING, "`ytm-mirror ctl unmute`"),
    "sound.turned_down": Kind(
        Level.WARNING, "`ytm-mirror ctl set sound.volume_db 0`, or what suits the room"
    ),
    "sound.underruns": Kind(
        Level.WARNING, "see what keeps the board busy (`top`); set `sound.periods` higher"
    ),
    "sound.not_urgent": Kind(
        Level.WARNING,
        "run the sound by its unit, which allows real-time priority (LimitRTPRIO); if it gave that"
        " up by itself, the processor is too slow for this bundle's sound, or too hot",
    ),
    "sound.not_locked": Kind(
        Level.WARNING, "run the sound by its unit, which allows locked memory (LimitMEMLOCK)"
    ),
    "card.unsteady": Kind(
        Level.WARNING, "exchange the sound card's cable or port, then the sound card"
    ),
    "screen.no_display": Kind(
        Level.CRITICAL, "check the screen's cable, its power and its chosen input"
    ),
    "screen.slow": Kind(Level.WARNING, "see whether the board is hot, throttled or busy (`top`)"),
    "memory.growing": Kind(
        Level.WARNING, "`systemctl restart ytm-SERVICE` after hours, and report it: it leaks"
    ),
    "memory.short": Kind(Level.WARNING, "see what takes the memory (`top`, then M) and stop it"),
    "watchdog.unarmed": Kind(
        Level.WARNING,
        "install the units again; `systemctl show ytm-SERVICE -p WatchdogUSec` must not say 0 or"
        " infinity",
    ),
    "board.replay_only": Kind(
        Level.CRITICAL,
        "see why it restarted (`journalctl -u ytm-reflect`); wait ten minutes, then restart it",
    ),
    "root.unchecked": Kind(
        Level.WARNING,
        "restart the board, and flash its medium again if it stays: what runs cannot be trusted",
    ),
    "watchdog.board": Kind(
        Level.WARNING,
        "set `RuntimeWatchdogSec=30` in /etc/systemd/system.conf.d and restart; see that the kernel"
        " has the board's watchdog driver",
    ),
    "systemd.silent": Kind(
        Level.WARNING, "try `systemctl status`; if that hangs too, restart the board"
    ),
    "board.unreadable": Kind(
        Level.WARNING, "restart the board: a sensor or driver does not answer"
    ),
    "board.hot": Kind(
        Level.WARNING, "give the board air: clean its fan and vents, keep it off other machines"
    ),
    "board.too_hot": Kind(
        Level.CRITICAL, "give the board air at once, or switch it off until its fan runs"
    ),
    "board.throttled": Kind(
        Level.WARNING, "give the board air; choose a power mode that its cooling can bear"
    ),
    "board.overcurrent": Kind(
        Level.WARNING, "use the supply that belongs to the board, or a weaker power mode"
    ),
    "disk.hangs": Kind(
        Level.CRITICAL, "see `dmesg`; restart the board, and exchange the disk if it comes again"
    ),
    "disk.missing": Kind(
        Level.WARNING, "see `systemctl status data.mount` and `dmesg`; settings do not last"
    ),
    "disk.read_only": Kind(
        Level.WARNING, "see `dmesg` for the disk's errors; restart the board, which repairs it"
    ),
    "disk.low": Kind(
        Level.WARNING, "remove what does not belong there (`du -xhd2 PATH` shows what is large)"
    ),
    "disk.full": Kind(
        Level.CRITICAL,
        "make room at once (`du -xhd2 PATH` shows what is large); nothing can be written",
    ),
    "prometheus.unwritten": Kind(
        Level.WARNING, "give a file in a folder that is there, has room and may be written"
    ),
}
"""By code. The table in `docs/health.md` is made of these."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be."""

    code: str
    subject: str
    """A service, a folder, or `board`."""
    what: str
    """What was seen, in one line."""

    @property
    def level(self) -> Level:
        """How bad it is."""
        return KINDS[self.code].level

    @property
    def remedy(self) -> str:
        """What to do about it, here."""
        remedy = KINDS[self.code].remedy
        return remedy.replace("SERVICE", self.subject).replace("PATH", self.subject)


def by_badness(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first; those that are equally bad keep their order."""
    return sorted(findings, key=lambda finding: _BY_BADNESS.index(finding.level), reverse=True)


def worst(findings: Iterable[Finding]) -> Level:
    """The level of all together. What could not be seen weighs less than what was."""
    return max((finding.level for finding in findings), key=_BY_BADNESS.index, default=Level.OK)
