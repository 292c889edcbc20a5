"""Words of a date in every language: months and parts of the day from CLDR, zones from a table.

The names are those of the Unicode Common Locale Data Repository, as babel ships it; Google writes
the dates of an export with the same data.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Literal

from babel import Locale, localedata

LONGEST_NAME_WORDS = 3
_INTERFACE = """
en de fr es pt it nl pl ru uk tr sv ja zh ko ar fa he hi th vi id cs el da nb no fi hu ro sk bg sr
sl lt lv et ca eu gl af az ms bs fil is sw zu uz sq be ky kk mk mn hy ur ne mr as bn pa gu or ta te
kn ml si lo my ka am km ga cy mt ha ig yo so jv su tg tk ps sd
"""
_REGIONS = """
ar_DZ ar_TN ar_MA ar_IQ ar_LB ar_MR az_Cyrl bn_IN bs_Cyrl de_AT en_AU en_CA en_GB es_MX fa_AF fr_CA
pa_Arab pt_PT sr_Latn uz_Arab uz_Cyrl zh_Hant
"""
COMMON_LANGUAGES = (*_INTERFACE.split(), *_REGIONS.split())
"""Those that accounts are commonly in, and regions where their words differ.

Their names win over those of all others.
"""
_ENGLISH = ("en",)
_OTHERS = ("*",)
"""Every language that is not common."""
_DOTTED = "hr"
"""Croatian months have Polish names of other months, but a dot: `25. lis 2026.`"""
_SOLAR_HIJRI = "فروردین اردیبهشت خرداد تیر مرداد شهریور مهر آبان آذر دی بهمن اسفند"
PartOfDay = Literal["morning", "afternoon", "night"]
_PARTS: dict[str, PartOfDay] = {
    **dict.fromkeys(("am", "midnight", "morning1", "morning2"), "morning"),
    **dict.fromkeys(
        ("pm", "noon", "afternoon1", "afternoon2", "evening1", "evening2"), "afternoon"
    ),
    **dict.fromkeys(("night1", "night2"), "night"),
}
_OFFSETS_MINUTES = {
    **dict.fromkeys(("utc", "gmt", "z", "wet", "wez", "hneoc"), 0),
    **dict.fromkeys(("cet", "mez", "hnec", "bst", "west", "wesz", "wat"), 60),
    **dict.fromkeys(("cest", "mesz", "haec", "eet", "oez", "hnee", "cat", "sast"), 120),
    **dict.fromkeys(("eest", "oesz", "haee", "msk", "мск", "trt", "eat", "idt"), 180),
    **dict.fromkeys(("gst",), 240),
    **dict.fromkeys(("pkt",), 300),
    **dict.fromkeys(("ist",), 330),
    **dict.fromkeys(("npt",), 345),
    **dict.fromkeys(("ict", "wib"), 420),
    **dict.fromkeys(("hkt", "sgt", "myt", "pht", "wita"), 480),
    **dict.fromkeys(("jst", "kst", "wit"), 540),
    **dict.fromkeys(("acst",), 570),
    **dict.fromkeys(("aest",), 600),
    **dict.fromkeys(("acdt",), 630),
    **dict.fromkeys(("aedt",), 660),
    **dict.fromkeys(("nzst",), 720),
    **dict.fromkeys(("nzdt",), 780),
    **dict.fromkeys(("nst",), -210),
    **dict.fromkeys(("ndt",), -150),
    **dict.fromkeys(("brt", "art", "adt", "clst", "uyt"), -180),
    **dict.fromkeys(("ast", "edt", "clt", "bot", "vet", "amt"), -240),
    **dict.fromkeys(("est", "cdt", "cot", "pet", "ect"), -300),
    **dict.fromkeys(("cst", "mdt"), -360),
    **dict.fromkeys(("mst", "pdt"), -420),
    **dict.fromkeys(("pst", "akdt"), -480),
    **dict.fromkeys(("akst",), -540),
    **dict.fromkeys(("hst",), -600),
}
"""Abbreviations of zones, and how far they are ahead of UTC; of two meanings the more common."""
_OFFSETS_BY_SCRIPT = {("cst", "CJK"): 480, ("ist", "HEBREW"): 120}
_SEPARATORS = re.compile(r"[\s\d.,:;/()\[\]'’،、。-]+")


class _Plain(dict[int, str]):
    """Character -> what it is read as; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        digit = unicodedata.decimal(character, None)
        if digit is not None:
            plain = str(digit)
        elif character.isspace():
            plain = " "
        elif unicodedata.category(character) == "Cf":
            plain = ""
        elif unicodedata.category(character) == "Pd" or character == "\u2212":
            plain = "-"
        else:
            plain = character
        self[code] = plain
        return plain


_PLAIN = _Plain()


def plain(text: str) -> str:
    """Write `text` in small letters and Latin digits, without marks of direction."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_PLAIN)
    return text.casefold()


def words(text: str) -> tuple[str, ...]:
    """The words of a plain `text`, in order; digits and punctuation part them."""
    found = (word.strip("׳॰״") for word in _SEPARATORS.split(text))
    return tuple(word for word in found if word)


def offset_minutes(spoken: Iterable[str]) -> int | None:
    """Minutes that the first zone among plain words is ahead of UTC; None if none is a zone."""
    spoken = tuple(spoken)
    zone = next((word for word in spoken if word in _OFFSETS_MINUTES), None)
    if zone is None:
        return None
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for word in spoken for letter in word}
    for (name, script), minutes in _OFFSETS_BY_SCRIPT.items():
        if name == zone and script in scripts:
            return minutes
    return _OFFSETS_MINUTES[zone]


def find_month(names: Sequence[str], *, dotted: bool) -> tuple[int, str] | None:
    """The first of `names` (joined plain words) that is a month, and the month, 1 to 12.

    `dotted` says that a dot follows the number of the day. English is looked up first, and rare
    languages only where no other has the name, since reading their data takes time.
    """
    tables = [(_DOTTED,)] if dotted else []
    for languages in (*tables, _ENGLISH, COMMON_LANGUAGES, _OTHERS) if names else ():
        months = _months(languages)
        found = next((name for name in names if name in months), None)
        if found is not None:
            return months[found], found
    return None


def find_solar_hijri_month(names: Iterable[str]) -> tuple[int, str] | None:
    """The first of `names` that is a month of the solar calendar of Iran, and the month."""
    return next(
        ((_SOLAR_HIJRI_MONTHS[name], name) for name in names if name in _SOLAR_HIJRI_MONTHS), None
    )


def find_part_of_day(names: Sequence[str]) -> tuple[PartOfDay, str] | None:
    """The first of `names` that is a part of the day, such as PM, and what it means."""
    for languages in (_ENGLISH, COMMON_LANGUAGES) if names else ():
        parts = _parts(languages)
        found = next((name for name in names if name in parts), None)
        if found is not None:
            return parts[found], found
    return None


@cache
def _months(languages: tuple[str, ...]) -> dict[str, int]:
    names: dict[str, int] = {}
    for locale in _locales(languages):
        for context in ("format", "stand-alone"):
            for width in ("abbreviated", "wide"):
                for number, name in locale.months[context][width].items():
                    key = "".join(words(plain(name)))
                    if _is_word(key) and not any(map(str.isdigit, name)):
                        names.setdefault(key, number)
    return names


@cache
def _parts(languages: tuple[str, ...]) -> dict[str, PartOfDay]:
    names: dict[str, PartOfDay] = {}
    for locale in _locales(languages):
        for context in ("format", "stand-alone"):
            for width in ("abbreviated", "wide", "narrow"):
                for period, name in locale.day_periods.get(context, {}).get(width, {}).items():
                    key = "".join(words(plain(name)))
                    if period in _PARTS and _is_word(key):
                        names.setdefault(key, _PARTS[period])
    return names


def _is_word(key: str) -> bool:
    """Whether a name is more than an initial; scripts other than Latin have words of a letter."""
    return len(key) > 1 or not key.isascii()


def _locales(languages: tuple[str, ...]) -> Iterator[Locale]:
    if languages == _OTHERS:
        known = {name for name in localedata.locale_identifiers() if "_" not in name}
        languages = tuple(sorted(known.difference(COMMON_LANGUAGES, ("root",))))
    return (Locale.parse(name) for name in languages if localedata.exists(name))


_SOLAR_HIJRI_MONTHS = {
    "".join(words(plain(name))): number for number, name in enumerate(_SOLAR_HIJRI.split(), start=1)
}
