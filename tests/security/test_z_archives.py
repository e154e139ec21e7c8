"""Z01-Z16: what hostile archives may not do. Each defence has a twin that shows what happens without it."""

from __future__ import annotations

import io
import itertools
import os
import stat
import time
import tracemalloc
import unicodedata
import zipfile
from pathlib import Path

import pytest
from zip_maker import LINK, Entry, make_zip

from codabench.core.errors import ArchiveError, StorageError
from codabench.storage.ranges import stream_of
from codabench.storage.sources import ArchiveLimits, collect, extract, open_source, zip_from_stream

SMALL = ArchiveLimits(inflated_bytes=1 << 20, entries=1000)


def save(folder: Path, data: bytes) -> Path:
    path = folder / "archive.zip"
    path.write_bytes(data)
    return path


def unpack(path: Path, limits: ArchiveLimits = ArchiveLimits.OWN) -> Path:
    """Our way: open, check, extract."""
    target = path.parent / "inside" / "target"
    target.mkdir(parents=True)
    with open_source(path, limits=limits) as source:
        extract(source, target, limits=limits)
    return target


def naive_unpack(path: Path) -> Path:
    """The way of many programs: join names, keep modes, trust sizes."""
    target = path.parent / "inside" / "target"
    target.mkdir(parents=True)
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            place = target / info.filename
            if stat.S_ISLNK(info.external_attr >> 16):
                place.symlink_to(archive.read(info).decode())
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(archive.read(info))
            place.chmod(stat.S_IMODE(info.external_attr >> 16) or 0o644)
    return target


def everything(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


def refused(data: bytes, tmp_path: Path, code: str, limits: ArchiveLimits = ArchiveLimits.OWN) -> ArchiveError:
    path = save(tmp_path, data)
    with pytest.raises(ArchiveError) as caught:
        unpack(path, limits)
    assert caught.value.code == code, caught.value
    assert everything(tmp_path) == {"archive.zip", "inside", "inside/target"}
    return caught.value


# ---------------------------------------------------------------------- Z01, Z02: names that leave
def spellings() -> list[str]:
    ups = ["../x", "../../x", "a/../../x", "./../x", "a/b/../../../x", ".. /../x", "....//../x", "..//x", "a/..", ".."]
    roots = ["/x", "//x/y", "///x", "C:/x", "C:x", "z:\\x", "\\\\server\\share\\x", "\\x", "/"]
    ends = ["", "/y", "/./y", "/ ", "\\y"]
    found = [a + b for a, b in itertools.product(ups + roots, ends)]
    return sorted({*found, *(name.replace("/", "\\") for name in found)})


@pytest.mark.row("Z01", "Z02")
@pytest.mark.parametrize("name", spellings())
def test_z01_names_that_leave_are_refused(name: str, tmp_path: Path) -> None:
    refused(make_zip(("n.txt", b"1"), (name, b"slipped")), tmp_path, "CB027")


def test_z01_there_are_many_spellings() -> None:
    assert len(spellings()) >= 150


@pytest.mark.twin("Z01")
def test_z01_twin_a_naive_extractor_lets_them_out(tmp_path: Path) -> None:
    naive_unpack(save(tmp_path, make_zip(("../x.txt", b"slipped"))))
    assert (tmp_path / "inside" / "x.txt").read_bytes() == b"slipped"


# ---------------------------------------------------------------------- Z03, Z04: links and special files
@pytest.mark.row("Z03", "Z04")
@pytest.mark.parametrize("mode", [0o120777, 0o010644, 0o020666, 0o060666, 0o140777])
def test_z03_links_and_special_files_are_refused(mode: int, tmp_path: Path) -> None:
    refused(make_zip(Entry(b"special", b"/etc/hostname", mode=mode << 16)), tmp_path, "CB028")


@pytest.mark.twin("Z03")
def test_z03_twin_a_naive_extractor_writes_through_a_link(tmp_path: Path) -> None:
    data = make_zip(Entry(b"dir", b"..", mode=LINK), ("dir/x.txt", b"through"))
    naive_unpack(save(tmp_path, data))
    assert (tmp_path / "inside" / "x.txt").read_bytes() == b"through"


# ---------------------------------------------------------------------- Z05-Z08: bombs
BOMB = b"\0" * (4 << 20)


@pytest.mark.row("Z05")
def test_z05_a_bomb_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    refused(make_zip(("zeros", BOMB)), tmp_path, "CB029", SMALL)


@pytest.mark.row("Z05")
def test_z05_a_bomb_that_lies_is_stopped_where_its_promise_ends(tmp_path: Path) -> None:
    refused(make_zip(Entry(b"zeros", BOMB, size=10)), tmp_path, "CB025", SMALL)


@pytest.mark.row("Z05")
def test_z05_memory_stays_bounded_whatever_is_promised(tmp_path: Path) -> None:
    honest = zip_from_stream(io.BytesIO(make_zip(("zeros", b"\0" * (64 << 20)))), name="honest")
    lying = zip_from_stream(io.BytesIO(make_zip(Entry(b"zeros", BOMB, size=10))), name="lying")
    tracemalloc.start()
    with honest.open("zeros") as content:
        assert sum(map(len, iter(lambda: content.read(1 << 16), b""))) == 64 << 20
    with pytest.raises(ArchiveError):
        lying.read_bytes("zeros")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


@pytest.mark.twin("Z05")
def test_z05_twin_without_a_limit_it_is_written(tmp_path: Path) -> None:
    target = unpack(save(tmp_path, make_zip(("zeros", BOMB))))
    assert (target / "zeros").stat().st_size == len(BOMB)


def test_z05_free_disk_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr("codabench.storage.extract.os.statvfs", lambda _: full)
    with pytest.raises(StorageError, match="left"):
        unpack(save(tmp_path, make_zip(("n", b"1"))))
    assert everything(tmp_path) == {"archive.zip", "inside", "inside/target"}


@pytest.mark.row("Z06")
def test_z06_entries_that_share_bytes_are_refused(tmp_path: Path) -> None:
    first = Entry(b"a", BOMB)
    data = make_zip(first, *(Entry(b"a", BOMB, offset=0) for _ in range(5)))
    refused(data, tmp_path, "CB024")


def test_z06_twin_each_of_them_is_sound_alone(tmp_path: Path) -> None:
    assert (unpack(save(tmp_path, make_zip(Entry(b"a", BOMB)))) / "a").stat().st_size == len(BOMB)


@pytest.mark.row("Z07")
def test_z07_archives_in_archives_stay_as_they_are(tmp_path: Path) -> None:
    inner = make_zip(("zeros", BOMB))
    target = unpack(save(tmp_path, make_zip(("inner.zip", inner))), SMALL)
    assert (target / "inner.zip").read_bytes() == inner


@pytest.mark.row("Z08")
def test_z08_too_many_entries_are_refused_at_once(tmp_path: Path) -> None:
    data = make_zip(*(Entry(b"%d" % n, method=0) for n in range(3000)))
    start = time.perf_counter()
    refused(data, tmp_path, "CB029", SMALL)
    assert time.perf_counter() - start < 1


@pytest.mark.row("Z08")
def test_z08_the_number_that_is_promised_is_not_believed(tmp_path: Path) -> None:
    refused(make_zip(("a", b"1"), count=60_000), tmp_path, "CB024")


# ---------------------------------------------------------------------- Z09-Z11: names that clash, names that deceive
NFC, NFD = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")


@pytest.mark.row("Z09")
@pytest.mark.parametrize(
    "names", [("Data", "data"), (NFC, NFD), ("straße", "STRASSE"), ("a", "a/b"), ("A/x", "a"), ("a/b", "a")]
)
def test_z09_names_that_would_overwrite_one_another(names: tuple[str, str], tmp_path: Path) -> None:
    refused(make_zip(*((name, b"1") for name in names)), tmp_path, "CB033")


@pytest.mark.row("Z09")
def test_z09_an_exact_duplicate_is_the_last_with_a_warning(tmp_path: Path) -> None:
    path = save(tmp_path, make_zip(("a", b"first"), ("a", b"last")))
    with open_source(path) as source:
        assert [p.code for p in source.problems] == ["CB034"]
        assert source.read_bytes("a") == b"last"
    assert (unpack(path) / "a").read_bytes() == b"last"


@pytest.mark.row("Z10")
@pytest.mark.parametrize(
    "name",
    [b"", b"a\0b", b"a\nb", b"a\x1b[31m", b"n" * 5000, b"d/" * 200 + b"x", b"a//b", b" ", b"a/ /b", b"...", b"./"],
)
def test_z10_odd_names_are_refused_or_mean_nothing(name: bytes, tmp_path: Path) -> None:
    data = make_zip(("n", b"1"), Entry(name, b"x"))
    error = refused(data, tmp_path, "CB024" if name == b"./" else "CB027")
    assert error.message.isprintable()
    assert len(error.message) < 400


@pytest.mark.row("Z11")
def test_z11_a_name_that_is_not_what_its_flag_says(tmp_path: Path) -> None:
    refused(make_zip(Entry(b"\xff\xfe", b"1")), tmp_path, "CB027")


@pytest.mark.row("Z11")
def test_z11_names_of_dos(tmp_path: Path) -> None:
    target = unpack(save(tmp_path, make_zip(Entry(b"caf\x82", b"1", flags=0))))
    assert everything(target) == {"café"}


# ---------------------------------------------------------------------- Z12, Z13: lies, damage, what is not read
@pytest.mark.row("Z12", "Z13")
@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (Entry(b"a", b"1234", size=5), "CB025"),
        (Entry(b"a", b"1234", size=3), "CB025"),
        (Entry(b"a", b"1234", size=2**32 - 2), "CB025"),
        (Entry(b"a", b"1234", crc=1), "CB025"),
        (Entry(b"a", b"1234", method=0, size=5), "CB024"),
        (Entry(b"a", b"1234", local_name=b"../evil"), "CB024"),
        (Entry(b"a", b"1234", local_name=b"b"), "CB024"),
        (Entry(b"a", b"1234", offset=7), "CB024"),
        (Entry(b"a", b"1234", offset=2**31), "CB024"),
        (Entry(b"a", b"1234", size=2**32 - 1), "CB024"),
        (Entry(b"a/", b"1234"), "CB024"),
        (Entry(b"a", b"1234", flags=1), "CB031"),
        (Entry(b"a", b"1234", method=9), "CB032"),
        (Entry(b"a", b"1234", method=12), "CB032"),
    ],
)
def test_z12_z13_what_contradicts_itself_or_is_not_read(entry: Entry, code: str, tmp_path: Path) -> None:
    refused(make_zip(("n.txt", b"1"), entry), tmp_path, code)


@pytest.mark.row("Z12")
def test_z12_every_way_to_cut_an_archive_off(tmp_path: Path) -> None:
    data = make_zip(("a", b"1234"), ("b/c", b"5678"))
    for length in range(len(data)):
        path = save(tmp_path, data[:length])
        with pytest.raises(ArchiveError) as caught:
            open_source(path)
        assert caught.value.code in ("CB022", "CB023"), length


@pytest.mark.row("Z12")
def test_z12_two_archives_are_read_alike_by_check_and_use(tmp_path: Path) -> None:
    path = save(tmp_path, make_zip(("n", b"1")) + make_zip(("n", b"2")))
    with open_source(path) as source:
        assert [p.code for p in source.problems] == ["CB036"]
        assert source.read_bytes("n") == b"2"
    assert (unpack(path) / "n").read_bytes() == b"2"


# ---------------------------------------------------------------------- Z14-Z16
@pytest.mark.row("Z14")
def test_z14_modes_are_masked(tmp_path: Path) -> None:
    data = make_zip(
        Entry(b"tool", b"1", mode=0o104755 << 16),
        Entry(b"data", b"1", mode=0o102666 << 16),
        Entry(b"none", b"1", mode=0),
    )
    target = unpack(save(tmp_path, data))
    modes = {name: stat.S_IMODE((target / name).stat().st_mode) for name in ("tool", "data", "none")}
    assert modes == {"tool": 0o755, "data": 0o644, "none": 0o644}


@pytest.mark.twin("Z14")
def test_z14_twin_a_naive_extractor_makes_a_setuid_file(tmp_path: Path) -> None:
    target = naive_unpack(save(tmp_path, make_zip(Entry(b"tool", b"1", mode=0o104755 << 16))))
    assert (target / "tool").stat().st_mode & stat.S_ISUID


def test_z15_litter_of_a_mac_stays_and_harms_nothing(tmp_path: Path) -> None:
    target = unpack(save(tmp_path, make_zip(("a.txt", b"1"), ("__MACOSX/._a.txt", b"2"), (".DS_Store", b"3"))))
    assert everything(target) == {"a.txt", "__MACOSX", "__MACOSX/._a.txt", ".DS_Store"}


@pytest.mark.row("Z16")
@pytest.mark.twin("Z16")
def test_z16_an_archive_swapped_after_the_check_is_not_read(tmp_path: Path) -> None:
    path = save(tmp_path, make_zip(("n", b"checked")))
    other = tmp_path / "other.zip"
    other.write_bytes(make_zip(("n", b"swapped")))
    with open_source(path) as source:
        other.replace(path)
        assert source.read_bytes("n") == b"checked"
        raw = source.archive and stream_of(source.archive)
        assert raw is not None
        assert zip_from_stream(io.BytesIO(raw.read()), name="copy").read_bytes("n") == b"checked"
    assert open_source(path).read_bytes("n") == b"swapped"  # the twin: who opens it again reads the other


# ---------------------------------------------------------------------- S01: what hostile code leaves behind
def leave_behind(folder: Path, secret: Path) -> None:
    """Every way to have somebody else's file collected."""
    (folder / "good.txt").write_text("good")
    (folder / "link").symlink_to(secret)
    (folder / "relative").symlink_to(os.path.relpath(secret, folder))
    (folder / "dir").symlink_to(secret.parent)
    (folder / "loop").symlink_to("loop")
    (folder / "self").symlink_to(".")
    (folder / "chain").symlink_to("link")
    os.link(secret, folder / "hard")
    os.mkfifo(folder / "fifo")
    (folder / "sub").mkdir()
    (folder / "sub" / "up").symlink_to("../../")
    (folder / "sub" / "kept.txt").write_text("kept")


@pytest.mark.row("S01")
def test_s01_nothing_outside_is_collected(tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret" / "truth.txt", tmp_path / "output"
    secret.parent.mkdir()
    secret.write_text("the truth")
    folder.mkdir()
    leave_behind(folder, secret)
    with collect(folder) as tree:
        assert [e.path for e in tree.entries()] == ["good.txt", "sub/kept.txt"]
        assert len(tree.problems) == 9
        assert {p.code for p in tree.problems} == {"CB037"}
        assert all(tree.read_bytes(e.path) in (b"good", b"kept") for e in tree.entries())


@pytest.mark.twin("S01")
def test_s01_twin_walking_by_path_reads_the_secret(tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret" / "truth.txt", tmp_path / "output"
    secret.parent.mkdir()
    secret.write_text("the truth")
    folder.mkdir()
    leave_behind(folder, secret)
    found = {p.name for p in folder.iterdir() if p.is_file() and p.read_text() == "the truth"}
    assert found == {"link", "relative", "chain", "hard"}


@pytest.mark.row("S02")
@pytest.mark.parametrize("swap", ["link", "hard", "fifo", "folder"])
def test_s02_a_file_swapped_after_it_was_listed_is_not_read(swap: str, tmp_path: Path) -> None:
    secret, folder = tmp_path / "truth.txt", tmp_path / "output"
    secret.write_text("the truth")
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.txt").write_text("mine")
    with collect(folder) as tree:
        if swap == "folder":
            (folder / "sub").rename(tmp_path / "away")
            (folder / "sub").symlink_to(tmp_path)
            (tmp_path / "a.txt").write_text("the truth")
        else:
            (folder / "sub" / "a.txt").unlink()
            place = folder / "sub" / "a.txt"
            {"link": lambda: place.symlink_to(secret), "hard": lambda: os.link(secret, place),
             "fifo": lambda: os.mkfifo(place)}[swap]()  # fmt: skip
        with pytest.raises(ArchiveError):
            tree.read_bytes("sub/a.txt")


def test_s02_modes_that_keep_us_out(tmp_path: Path) -> None:
    folder = tmp_path / "output"
    (folder / "closed").mkdir(parents=True)
    (folder / "closed" / "a.txt").write_text("a")
    (folder / "b.txt").write_text("b")
    (folder / "closed" / "a.txt").chmod(0)
    (folder / "b.txt").chmod(0)
    (folder / "closed").chmod(0)
    with collect(folder) as tree:
        assert {e.path: tree.read_bytes(e.path) for e in tree.entries()} == {"b.txt": b"b", "closed/a.txt": b"a"}


def test_s01_a_flood_of_links_is_counted_not_listed(tmp_path: Path) -> None:
    for n in range(500):
        (tmp_path / f"link{n}").symlink_to("/etc/hostname")
    with collect(tmp_path) as tree:
        assert tree.entries() == []
        assert len(tree.problems) == 101
        assert tree.problems[-1].message.startswith("400 more")
    with pytest.raises(ArchiveError) as caught:
        collect(tmp_path, limits=ArchiveLimits(entries=499))
    assert caught.value.code == "CB029"
