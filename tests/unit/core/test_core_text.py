"""Small functions on text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.core.text import (
    did_you_mean,
    distinct,
    file_name,
    human_size,
    parse_duration,
    parse_size,
    plural,
    printable,
    storable,
)


@given(st.text())
def test_printable_text_shows_everything_and_moves_nothing(text: str) -> None:
    shown = printable(text)
    assert all(c.isprintable() or c == "\n" for c in shown)
    shown.encode()
    assert printable(shown) == shown


@pytest.mark.parametrize("hidden", ["\x1b[31m", "\u202e", "\u200b", "\x00", "\x7f", "\r", "\ud800", "\ufeff"])
def test_what_cannot_be_seen_is_escaped(hidden: str) -> None:
    assert hidden[0] not in printable(f"a{hidden}b")
    assert printable(f"a{hidden}b").startswith("a\\")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (5, 5),
        ("1073741824", 1 << 30),
        ("512m", 512 << 20),
        ("4 GiB", 4 << 30),
        ("4gb", 4 << 30),
        ("1.5k", 1536),
        (" 2 T ", 2 << 40),
        ("0", 0),
    ],
)
def test_sizes(text: int | str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "-1", "1 x", "1..2", "1 GiBs", "nan", "١m", "1e3", "4 G i B", "9" * 400])
def test_what_is_no_size(text: str) -> None:
    if text == "١m":
        assert parse_size(text) == 1 << 20  # digits are digits in every script
        return
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (90, 90),
        (1.5, 1.5),
        ("90", 90),
        ("20 min", 1200),
        ("20m", 1200),
        ("1.5 h", 5400),
        ("500ms", 0.5),
        ("2 days", 172800),
    ],
)
def test_durations(text: float | str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1", "1 month", "inf", "1 h 20", "9" * 400])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("wrong", "guess"),
    [
        ("titel", "title"),
        ("Title", "title"),
        ("max-submissions", "max_submissions"),
        ("Max Submissions", "max_submissions"),
        ("title_of_it", "title"),
        ("zzz", None),
        ("", None),
    ],
)
def test_did_you_mean(wrong: str, guess: str | None) -> None:
    assert did_you_mean(wrong, ["title", "max_submissions"]) == guess


@given(st.text(), st.lists(st.text()))
def test_a_guess_is_one_of_the_known(wrong: str, known: list[str]) -> None:
    assert did_you_mean(wrong, known) in [None, *known]
    assert not known or did_you_mean(known[0], known) is not None


@given(st.lists(st.sampled_from(["a", "b", "a #2", "a #3", ""])), st.lists(st.sampled_from(["a", "c"])))
def test_distinct_names_are_distinct_and_keep_what_is_free(names: list[str], taken: list[str]) -> None:
    found = distinct(names, taken)
    assert len(set(found)) == len(found) == len(names)
    assert not set(found) & set(taken)
    assert all(new == old or new.startswith(f"{old} #") for old, new in zip(names, found, strict=True))
    if names and names[0] not in taken:
        assert found[0] == names[0]


def test_counts_and_sizes_for_people() -> None:
    assert [plural(n, "error") for n in (0, 1, 2)] == ["0 errors", "1 error", "2 errors"]
    assert [human_size(n) for n in (0, 1023, 1024, 1 << 30, 5 << 40)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.0 GiB",
        "5.0 TiB",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("été 🙂", "été 🙂"),
        ("été".encode().decode("ascii", "surrogateescape"), "été"),
        ("\udce9t", "\ufffdt"),
        ("a\ud800b", "a\ufffdb"),
    ],
)
def test_what_a_file_name_says(name: str, text: str) -> None:
    assert file_name(name) == text


def test_what_every_database_takes() -> None:
    assert storable("Größe 🙂\n") == "Größe 🙂\n"
    assert storable("a\x00b\ud800c") == "ab\ufffdc"
