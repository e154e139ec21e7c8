"""What real zips hold: each quirk of the list is a test. Links, encryption and paths that lead out do not occur."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from bundle_maker import FILES, GOOD
from test_bundle_v15 import OLD

from codabench.bundle.load import Bundle, read_bundle
from codabench.core.problems import Severity
from codabench.storage.sources import extract, manifest

SOUND = {"competition.yaml": GOOD.encode(), **FILES}
APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "

Make = Callable[[zipfile.ZipInfo], zipfile.ZipInfo]


class _Stream(io.RawIOBase):
    """Where nobody can go back to write sizes: `zipfile` writes data descriptors behind the bytes."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.data += data
        return len(data)


def pack(
    entries: Iterable[tuple[str, bytes]], make: Make = lambda entry: entry, *, streamed: bool = False, method: int = 8
) -> bytes:
    target = _Stream() if streamed else io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in entries:
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            info.compress_type = method
            archive.writestr(make(info), data)
    return bytes(target.data) if isinstance(target, _Stream) else target.getvalue()


def opened(folder: Path, data: bytes) -> Bundle:
    (folder / "bundle.zip").write_bytes(data)
    return read_bundle(folder / "bundle.zip")


def said(bundle: Bundle) -> list[str]:
    assert bundle.spec is not None, str(bundle.report)
    return [p.code for p in bundle.report]


def check(folder: Path, data: bytes, *codes: str) -> None:
    """It reads as the sound one does, and its files can be used."""
    with opened(folder, data) as bundle:
        assert said(bundle) == list(codes)
        assert bundle.spec is not None
        assert (bundle.spec.title, bundle.spec.terms) == ("Small", "Be fair.\n")
        for task in bundle.spec.tasks:
            for part in (task.scoring_program, task.ingestion_program, task.input_data):
                assert part is not None
                manifest(bundle.tree(part))


def litter(*names: str) -> bytes:
    return pack([*SOUND.items(), *((name, APPLE_DOUBLE) for name in names)])


# ---------------------------------------------------------------------- what else lies in them
def test_an_ordinary_one(tmp_path: Path) -> None:
    check(tmp_path, pack(SOUND.items()))


@pytest.mark.parametrize(
    "names",
    [
        ("__MACOSX/._competition.yaml", "__MACOSX/._scoring", "__MACOSX/scoring/._metadata"),
        ("._competition.yaml", "scoring/._metadata"),
        ("__MACOSX/",),
    ],
    ids=["in a folder", "beside", "the empty folder"],
)
def test_macosx_with_appledouble_twins(names: tuple[str, ...], tmp_path: Path) -> None:
    check(tmp_path, pack([*SOUND.items(), *((n, b"" if n.endswith("/") else APPLE_DOUBLE) for n in names)]))


def test_macosx_around_a_wrapped_bundle(tmp_path: Path) -> None:
    wrapped = [(f"bundle/{name}", data) for name, data in SOUND.items()]
    check(tmp_path, pack([*wrapped, ("__MACOSX/bundle/._logo.png", APPLE_DOUBLE), (".DS_Store", b"x")]), "CB112")


def test_macosx_inside_a_nested_zip(tmp_path: Path) -> None:
    inner = pack([("metadata", b"command: python3 score.py"), ("score.py", b""), ("__MACOSX/._metadata", APPLE_DOUBLE)])
    text = GOOD.replace("scoring_program: scoring", "scoring_program: scoring.zip").encode()
    check(tmp_path, pack([*(SOUND | {"competition.yaml": text, "scoring.zip": inner}).items()]))


def test_macosx_inside_a_nested_and_wrapped_program_of_the_old_format(tmp_path: Path) -> None:
    inner = pack(
        [("p/metadata", b"command: python3 score.py"), ("p/score.py", b""), ("__MACOSX/p/._metadata", APPLE_DOUBLE)]
    )
    text = OLD.replace("scoring_program: scoring", "scoring_program: scoring.zip").encode()
    with opened(tmp_path, pack([*(SOUND | {"competition.yaml": text, "scoring.zip": inner}).items()])) as bundle:
        assert said(bundle) == ["CB312"]
        assert bundle.spec is not None
        assert bundle.spec.tasks[0].scoring_program is not None
        assert bundle.spec.tasks[0].scoring_program.commands == ("python3 score.py",)


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "scoring/.DS_Store",
        "scoring/score.pyc",
        "scoring/__pycache__/score.cpython-27.pyc",
        ".ipynb_checkpoints/README-checkpoint.ipynb",
        "scoring/.ipynb_checkpoints/score-checkpoint.py",
        "Thumbs.db",
    ],
)
def test_ds_store_pyc_of_another_python_and_ipynb_checkpoints(name: str, tmp_path: Path) -> None:
    check(tmp_path, litter(name))


# ---------------------------------------------------------------------- how they are written
def test_no_directory_entries_at_all(tmp_path: Path) -> None:
    data = pack([(name, content) for name, content in SOUND.items() if not name.endswith("/")])
    check(tmp_path, data)


def test_an_entry_for_each_directory(tmp_path: Path) -> None:
    check(tmp_path, pack([("scoring/", b""), ("data/", b""), *SOUND.items(), ("ingestion/", b""), ("empty/", b"")]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_entry_twice(tmp_path: Path) -> None:
    """The last one counts."""
    data = pack([("terms.md", b"Before."), *SOUND.items()])
    check(tmp_path, data, "CB034")
    with opened(tmp_path, data) as bundle:
        assert bundle.report.problems[0].severity is Severity.WARNING


def dos(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    entry.create_system, entry.external_attr = 0, 0x20
    return entry


def mode(bits: int, kind: int = stat.S_IFREG) -> Make:
    def make(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
        entry.create_system, entry.external_attr = 3, (kind | bits) << 16
        return entry

    return make


@pytest.mark.parametrize(
    ("make", "executable"),
    [(dos, False), (mode(0), False), (mode(0, 0), False), (mode(0o777), True), (mode(0o600), False)],
    ids=["made on DOS, no Unix mode", "mode 0", "mode 0 without a type", "0777", "0600"],
)
def test_modes_of_entries(make: Make, executable: bool, tmp_path: Path) -> None:
    """Whatever they say, what is unpacked can be read."""
    data = pack(SOUND.items(), make)
    check(tmp_path, data)
    (tmp_path / "out").mkdir()
    with opened(tmp_path, data) as bundle:
        extract(bundle.files, tmp_path / "out")
    modes = {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert modes == {0o755 if executable else 0o644}
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "out").rglob("*") if p.is_dir()} == {0o755}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_streamed_entries_with_data_descriptors(method: int, tmp_path: Path) -> None:
    data = pack(SOUND.items(), streamed=True, method=method)
    assert data[6] & 8  # the sizes stand behind the bytes
    check(tmp_path, data)


# ---------------------------------------------------------------------- zips in zips
def test_zips_in_zips(tmp_path: Path) -> None:
    """What is a program or data set is unpacked one level; what is in it, and a starting kit, stays packed."""
    innermost, sample = pack([("x.csv", b"1\n")]), pack([("sample.csv", b"2\n")])
    program = pack([("metadata", b"command: python3 score.py"), ("score.py", b""), ("helpers.zip", innermost)])
    text = (
        GOOD.replace("scoring_program: scoring", "scoring_program: scoring.zip")
        .replace("reference_data: data", "reference_data: truth.zip")
        .replace("    name: One\n", "    name: One\n    starting_kit: kit.zip\n")
    )
    files = SOUND | {
        "competition.yaml": text.encode(),
        "scoring.zip": program,
        "truth.zip": pack([("truth.csv", b"1\n"), ("more.zip", innermost)]),
        "kit.zip": pack([("README.md", b"Hello"), ("sample.zip", sample)]),
    }
    with opened(tmp_path, pack(files.items())) as bundle:
        assert said(bundle) == []
        assert bundle.spec is not None
        task, phase = bundle.spec.tasks[0], bundle.spec.phases[0]
        assert task.scoring_program is not None
        assert task.reference_data is not None
        assert phase.starting_kit is not None
        assert bundle.tree(task.scoring_program).read_bytes("helpers.zip") == innermost
        assert bundle.tree(task.reference_data).read_bytes("more.zip") == innermost
        assert bundle.files.read_bytes("kit.zip") == files["kit.zip"]
        assert bundle.tree(phase.starting_kit).read_bytes("sample.zip") == sample


def test_zips_in_programs_of_the_old_format_are_unpacked(tmp_path: Path) -> None:
    program = pack(
        [("metadata", b"command: python3 score.py"), ("score.py", b""), ("helpers.zip", pack([("h.py", b"pass")]))]
    )
    text = OLD.replace("scoring_program: scoring", "scoring_program: scoring.zip").encode()
    with opened(tmp_path, pack((SOUND | {"competition.yaml": text, "scoring.zip": program}).items())) as bundle:
        assert said(bundle) == ["CB312"]
        assert bundle.spec is not None
        assert bundle.spec.tasks[0].scoring_program is not None
        assert bundle.tree(bundle.spec.tasks[0].scoring_program).read_bytes("helpers/h.py") == b"pass"


# ---------------------------------------------------------------------- names
@pytest.mark.parametrize("name", ["the scoring program", "scoring+v2", "scoring~1", "Données", "a & b (copy)", "%20"])
def test_names_with_spaces_plus_and_tilde(name: str, tmp_path: Path) -> None:
    text = GOOD.replace("scoring_program: scoring", f"scoring_program: '{name}/'").encode()
    moved = {f"{name}{k[7:]}" if k.startswith("scoring/") else k: v for k, v in SOUND.items()}
    check(tmp_path, pack((moved | {"competition.yaml": text}).items()))
    with opened(tmp_path, (tmp_path / "bundle.zip").read_bytes()) as bundle:
        assert f"{name}/score.py" in [entry.path for entry in manifest(bundle.files)]


@pytest.mark.parametrize(
    ("name", "make", "code"),
    [
        ("link", mode(0o777, stat.S_IFLNK), "CB028"),
        ("/etc/passwd", mode(0o644), "CB027"),
        ("../out", mode(0o644), "CB027"),
    ],
    ids=["a link", "an absolute path", "a path that leads out"],
)
def test_what_does_not_occur_is_refused(name: str, make: Make, code: str, tmp_path: Path) -> None:
    with opened(tmp_path, pack([*SOUND.items(), (name, b"x")], make)) as bundle:
        assert [p.code for p in bundle.report.errors] == [code]


def test_what_is_encrypted_does_not_occur_and_is_refused(tmp_path: Path) -> None:
    data = bytearray(pack(SOUND.items()))
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    with opened(tmp_path, bytes(data)) as bundle:
        assert [p.code for p in bundle.report.errors] == ["CB031"]
