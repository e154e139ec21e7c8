"""Dates as people write them (contract.md 1.6)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.bundle.dates import DateError, parse_date

READ = [
    ("2026-01-01", "2026-01-01T00:00:00"),
    ("2026-1-2", "2026-01-02T00:00:00"),
    ("2026/01/02", "2026-01-02T00:00:00"),
    ("12-31-2026", "2026-12-31T00:00:00"),
    ("31.12.2026", "2026-12-31T00:00:00"),
    ("13-7-2019", "2019-07-13T00:00:00"),
    ("5-5-2019", "2019-05-05T00:00:00"),
    ("2026-01-02 03:04", "2026-01-02T03:04:00"),
    ("2026-01-02T03:04:05.25Z", "2026-01-02T03:04:05.250000"),
    ("2026-01-02 03:04:05 -5", "2026-01-02T08:04:05"),
    ("2026-01-02 03:04+0530", "2026-01-01T21:34:00"),
    ("2026-01-02 03:04 UTC", "2026-01-02T03:04:00"),
    ("12/31/2026 11:59 PM", "2026-12-31T23:59:00"),
    ("12/31/2026 12:00 am", "2026-12-31T00:00:00"),
    ("August 3, 2020 10:15 PM", "2020-08-03T22:15:00"),
    ("3 Aug 2020", "2020-08-03T00:00:00"),
    ("Mon, 03 Aug 2020 10:15:00 +0200", "2020-08-03T08:15:00"),
]


@pytest.mark.parametrize(("text", "moment"), READ)
def test_read(text: str, moment: str) -> None:
    assert parse_date(text) == (datetime.fromisoformat(moment).replace(tzinfo=UTC), None)


def test_ambiguous_dates_are_read_month_first_and_say_so() -> None:
    moment, remark = parse_date("8-7-2019")
    assert moment == datetime(2019, 8, 7, tzinfo=UTC)
    assert remark is not None
    assert "2019-08-07" in remark


@pytest.mark.parametrize("text", ["", "  ", "null", "~"])
def test_nothing(text: str) -> None:
    assert parse_date(text) == (None, None)


def test_null_in_quotes_is_text() -> None:
    with pytest.raises(DateError):
        parse_date("null", plain=False)


@pytest.mark.parametrize(
    "text",
    ["soon", "next week", "true", "2024.5", "1577836800", "2024-13-45", "2019-02-29", "31-31-2024", "August",
     "August 3", "August 2020", "3 Aug 2020 10:15 XYZ", "2026-01-01 25:00", "2026-01-01 10:00 +99", "0000-01-01", "-1",
     "1e5", ".nan", "9999-12-31T23:59:59-14:00", "Aug 99, 2020", "2026-01-01x", "Monday", "x" * 9999, "Aug 2020 " * 5],
)  # fmt: skip
def test_no_dates(text: str) -> None:
    with pytest.raises(DateError):
        parse_date(text)


def test_a_number_is_answered_with_the_date_it_looks_like() -> None:
    with pytest.raises(DateError) as caught:
        parse_date("20260201")
    assert caught.value.hint == "write 2026-02-01"
    assert parse_date("20260201", plain=False)[0] == datetime(2026, 2, 1, tzinfo=UTC)


@given(
    st.datetimes(datetime(1900, 1, 2), datetime(9998, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["T", " "]),
)
def test_any_timestamp_keeps_its_moment(naive: datetime, offset: int, separator: str) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert parse_date(moment.isoformat(separator))[0] == moment
    assert parse_date(naive.isoformat(separator))[0] == naive.replace(tzinfo=UTC)


@given(st.text(max_size=80), st.booleans())
def test_any_text_is_a_date_or_not(text: str, plain: bool) -> None:
    try:
        moment, _ = parse_date(text, plain=plain)
    except DateError:
        return
    assert moment is None or moment.tzinfo is UTC
