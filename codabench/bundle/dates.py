"""Dates as people write them (contract.md 1.6 with its Decision)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_TIME = r"""(?:(?:[Tt]|\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{1,9}))?)?
           \s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>[Zz]|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?)?)?"""
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})" + _TIME, re.VERBOSE)
_YEAR_LAST = re.compile(r"(?P<a>\d{1,2})(?P<sep>[-/.])(?P<b>\d{1,2})(?P=sep)(?P<year>\d{4})" + _TIME, re.VERBOSE)
_DIGITS = re.compile(r"(\d{4})(\d{2})(\d{2})")
_NUMBER = re.compile(r"[-+]?[\d_]*\.?\d+([eE][-+]?\d+)?|\.(nan|inf)", re.IGNORECASE)
_WORDS = re.compile(r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", re.IGNORECASE)
_LONGEST = 64


class DateError(ValueError):
    """Not a date; `hint` is what to write instead, if that can be guessed; `meant` is it, if nothing else can be."""

    def __init__(self, message: str, hint: str | None = None, meant: str | None = None) -> None:
        super().__init__(message)
        self.hint, self.meant = hint, meant


def parse_date(text: str, *, plain: bool = True) -> tuple[datetime | None, str | None]:
    """The moment that `text` means, in UTC, and a remark if it could mean another.

    The full timestamp counts. A time without an offset is UTC, one with an offset is converted. Numeric dates are year
    first, or month first if both readings are possible.

    Parameters
    ----------
    plain
        Written without quotes: digits alone are then a number, not a date.

    Raises
    ------
    DateError
        It is no date.
    """
    text = text.strip()
    if not text or (plain and text in ("~", "null", "Null", "NULL")):
        return None, None
    if len(text) > _LONGEST:
        raise DateError(f"'{text[:20]}...' is not a date")
    if digits := _DIGITS.fullmatch(text):
        return _from_digits(text, digits, plain), None
    if _NUMBER.fullmatch(text):
        raise DateError(f"{text} is a number, not a date", "write it as 2026-02-01 or 2026-02-01 14:00")
    if match := _YEAR_FIRST.fullmatch(text):
        return _moment(text, match, int(match["month"]), int(match["day"])), None
    if match := _YEAR_LAST.fullmatch(text):
        return _year_last(text, match)
    return _in_words(text), None


def _from_digits(text: str, digits: re.Match[str], plain: bool) -> datetime:
    written = "-".join(digits.groups())
    try:
        moment = datetime.fromisoformat(written).replace(tzinfo=UTC)
    except ValueError:
        raise DateError(f"{text} is a number, not a date", "write it as 2026-02-01") from None
    if plain:
        raise DateError(f"{text} is a number, not a date", f"write {written}", written)
    return moment


def _year_last(text: str, match: re.Match[str]) -> tuple[datetime, str | None]:
    month, day = int(match["a"]), int(match["b"])
    if month > 12:
        month, day = day, month
    moment = _moment(text, match, month, day)
    if day > 12 or day == month:
        return moment, None
    return moment, f"{text} is read month first, as {moment:%Y-%m-%d}"


def _moment(text: str, match: re.Match[str], month: int, day: int) -> datetime:
    try:
        hour = int(match["hour"] or 0)
        if half := match["half"]:
            if not 1 <= hour <= 12:
                raise ValueError
            hour = hour % 12 + 12 * (half[0] in "pP")
        micro = int((match["fraction"] or "0")[:6].ljust(6, "0"))
        zone = _zone(match["zone"])
        minute, second = int(match["minute"] or 0), int(match["second"] or 0)
        return datetime(int(match["year"]), month, day, hour, minute, second, micro, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise DateError(f"{text} is not a date: there is no such moment") from None


def _zone(text: str | None) -> timezone:
    if not text or text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "")
    hours, minutes = (int(digits), 0) if len(digits) < 3 else (int(digits[:-2]), int(digits[-2:]))
    if minutes > 59:
        raise ValueError
    return timezone(timedelta(hours=hours, minutes=minutes) * (-1 if text[0] == "-" else 1))


def _in_words(text: str) -> datetime:
    """``August 3, 2020 10:15 PM``: day, month and year have all to be given."""
    nothing = DateError(f"'{text}' is not a date", "write it as 2026-02-01 or 2026-02-01 14:00")
    if not _WORDS.search(text) or not re.search(r"\b\d{4}\b", text):
        raise nothing
    import warnings

    from dateutil.parser import parse

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an unknown time zone is only warned of
            found, again = (parse(text, default=datetime(2000, 1, day)) for day in (1, 2))
    except (ValueError, OverflowError, Warning):
        raise nothing from None
    if found != again:
        raise nothing
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise nothing from None
