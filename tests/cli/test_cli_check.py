"""``codabench check --format`` and ``codabench rule``."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from tiny import bundle, yaml
from typer.testing import CliRunner, Result

from codabench.cli.app import app
from codabench.cli.github import annotated
from codabench.cli.rule import complete
from codabench.core.problems import Location, Problem, Severity
from codabench.core.report import Report
from codabench.core.rules import rules

PROBLEMS = Path(__file__).resolve().parents[2] / "docs" / "problems.md"


def codabench(*args: object) -> Result:
    return CliRunner().invoke(app, [*map(str, args)], prog_name="codabench", env={"COLUMNS": "200"})


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    return bundle(tmp_path / "bro,ken", yaml().replace("title: Tiny", "titel: Tiny"))


# ---------------------------------------------------------------- formats
def test_the_format_json_is_json(broken: Path) -> None:
    one, two = codabench("check", broken, "--json"), codabench("check", broken, "--format", "json")
    assert (one.exit_code, one.stdout) == (two.exit_code, two.stdout) == (1, one.stdout)
    assert json.loads(two.stdout)["problems"]


def test_annotations_name_file_line_and_column(broken: Path) -> None:
    found = codabench("check", broken, "--format", "github")
    assert found.exit_code == 1
    first, *_ = found.stdout.splitlines()
    file = f"{broken.as_posix()}/competition.yaml".replace(",", "%2C")
    assert first.startswith(f"::error file={file},line=2,endLine=2,col=1,endColumn=6,title=CB101::")
    assert "%0Ahelp: did you mean title?" in first
    assert "1 error" in found.stderr


def test_a_sound_bundle_has_no_annotations(tmp_path: Path) -> None:
    found = codabench("check", bundle(tmp_path / "sound"), "--format", "github")
    assert (found.exit_code, found.stdout) == (0, "")


def test_an_archive_is_annotated_as_a_whole(broken: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(p for p in broken.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(broken).as_posix())
    found = codabench("check", packed, "--format", "github")
    assert (found.exit_code, found.stdout.partition("::")[0]) == (1, "")
    assert f"::error file={packed.as_posix()},title=CB101::" in found.stdout


def test_what_cannot_be_read_is_annotated(tmp_path: Path) -> None:
    (tmp_path / "junk.zip").write_bytes(b"this is no zip")
    found = codabench("check", tmp_path / "junk.zip", "--format", "github")
    assert found.exit_code == 2
    assert found.stdout.startswith("::error file=")
    assert "title=CB023::" in found.stdout


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(("url", "code"), [("http://127.0.0.1:9/x.zip", "CB042"), ("memory://none/x.zip", "CB021")])
def test_a_url_that_cannot_be_read(url: str, code: str, form: str) -> None:
    found = codabench("check", url, "--format", form)
    assert found.exit_code == 2
    assert code in found.output
    assert "Traceback" not in found.output


@pytest.mark.parametrize("severity", list(Severity))
def test_no_message_begins_a_command_of_its_own(severity: Severity, tmp_path: Path) -> None:
    evil = "100 %\n::set-output name=x::1\r\n::error::\x1b[31m"
    problem = Problem(code="CB101", severity=severity, message=evil, hint=evil, where=Location(file=f"a:b,{evil}"))
    shown = annotated(Report(source=str(tmp_path), problems=(problem,)))
    assert len(shown.splitlines()) == 1
    assert "\x1b" not in shown
    command, properties, message = re.fullmatch(r"::(\w+) (.*?)::(.*)", shown).groups()  # type: ignore[union-attr]
    assert command == {"error": "error", "warning": "warning", "note": "notice"}[severity]
    assert "a%3Ab%2C100 %25%0A" in properties
    assert message.startswith("100 %25%0A::set-output")


def test_a_format_that_is_not_known_is_refused(broken: Path) -> None:
    assert codabench("check", broken, "--format", "xml").exit_code == 2


# ---------------------------------------------------------------- rules
def test_every_row_of_the_document_is_a_rule() -> None:
    rows = re.findall(r"^\| (CB\d{3}) ", PROBLEMS.read_text(encoding="utf-8"), re.M)
    assert len(rows) > 100
    assert list(rules()) == rows
    assert all(rule.group and rule.meaning and rule.action for rule in rules().values())


def test_each_check_has_its_background() -> None:
    checks = [rule for rule in rules().values() if rule.group == "bundles without errors"]
    assert len(checks) == 11
    assert all(len(rule.more) > 100 for rule in checks)
    assert rules()["CB509"].more.endswith("midnight is midnight")


@pytest.mark.parametrize("code", ["CB504", "cb504", " 504 "])
def test_a_rule_is_explained(code: str) -> None:
    found = codabench("rule", code)
    assert found.exit_code == 0
    assert found.stdout.startswith("CB504 (warning; bundles without errors)\n")
    assert "help: leave the answers out there" in found.stdout
    assert "sha256" in found.stdout


@pytest.mark.parametrize("code", ["CB5O4", "CB999", "nonsense", "", "x" * 9999, "\x1b[31m"])
def test_an_unknown_code_is_refused_with_a_guess(code: str) -> None:
    found = codabench("rule", code)
    assert (found.exit_code, found.stdout) == (2, "")
    assert "error[CB340]: there is no code" in found.stderr
    assert "= help: " in found.stderr
    assert "\x1b" not in found.stderr
    if code == "CB5O4":
        assert "did you mean CB504?" in found.stderr


def test_shells_complete_codes() -> None:
    assert complete("cb50") == [f"CB50{n}" for n in range(1, 10)]


def test_rule_has_help() -> None:
    found = codabench("rule", "--help")
    assert found.exit_code == 0
    assert "Explain a problem code" in found.stdout


# ---------------------------------------------------------------- fixes
def test_check_mends(broken: Path) -> None:
    found = codabench("check", broken)
    assert "(1 fixable with --fix)" in found.stderr
    assert "did you mean title?  (--fix)" in found.stderr
    shown = codabench("check", broken, "--diff")
    assert (shown.exit_code, "-titel: Tiny\n+title: Tiny" in shown.stdout) == (0, True)
    assert "titel" in (broken / "competition.yaml").read_text()
    done = codabench("check", broken, "--fix")
    assert (done.exit_code, done.stdout) == (0, shown.stdout)
    assert "fixed[CB101]: write title instead of 'titel' (competition.yaml:2)" in done.stderr
    assert "0 errors" in done.stderr
    assert "title: Tiny" in (broken / "competition.yaml").read_text()
    again = codabench("check", broken, "--fix")
    assert (again.exit_code, again.stdout) == (0, "")


def test_what_is_left_is_an_error(broken: Path) -> None:
    (broken / "terms.md").unlink()
    found = codabench("check", broken, "--fix", "--json")
    document = json.loads(found.stdout)
    assert (found.exit_code, document["ok"], document["written"]) == (1, False, True)
    assert [p["code"] for p in document["fixed"]] == ["CB101"]
    assert document["fixed"][0]["fix"]["edits"] == [
        {"file": "competition.yaml", "line": 2, "column": 1, "end_line": 2, "end_column": 6, "text": "title"}
    ]
    assert [p["code"] for p in document["problems"]] == ["CB301"]


@pytest.mark.parametrize("more", [(), ("--json",), ("--format", "github")])
def test_an_archive_is_not_mended(tmp_path: Path, more: tuple[str, ...]) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("competition.yaml", yaml())
    found = codabench("check", tmp_path / "a.zip", "--fix", *more)
    assert found.exit_code == 2
    assert "CB359" in found.output
    assert "--diff" in found.output


def test_unsafe_fixes_are_asked_for(tmp_path: Path) -> None:
    tiny = bundle(tmp_path / "b", yaml().replace("title: Tiny", "title: Old\ntitle: Tiny"))
    assert codabench("check", tiny, "--fix").stdout == ""
    assert "-title: Old" in codabench("check", tiny, "--unsafe-fixes").stdout
    assert (tiny / "competition.yaml").read_text() == yaml()


# ---------------------------------------------------------------- schema
def test_the_schema_is_printed_and_written(tmp_path: Path) -> None:
    shown = codabench("schema")
    assert json.loads(shown.stdout)["title"] == "competition.yaml, version 2"
    assert codabench("schema", "--out", tmp_path / "s.json").stdout == ""
    assert (tmp_path / "s.json").read_text() == shown.stdout
    assert codabench("schema", "--out", tmp_path / "no" / "s.json").exit_code == 3
