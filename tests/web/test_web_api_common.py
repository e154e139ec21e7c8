"""Spelling of paths, bodies in all forms, moments, pages: what the calls of the API have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Request
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from codabench.core.errors import Invalid
from codabench.site.settings import SiteSettings
from codabench.web import failures
from codabench.web.api.common import Body, Id, Moment, Spelling, Text, body, checked, format_of, moment, takes, wire


class Inner(Body):
    key: Text


class Sent(Body):
    phase: Id
    name: Text = ""
    tasks: list[Id] = []
    when: Moment | None = None
    answers: dict[str, Any] | None = None
    inner: Inner | None = None
    organization: Id | None = None
    flag: bool = False


app = FastAPI()
app.state.site = SimpleNamespace(settings=SiteSettings())
app.add_middleware(Spelling)
failures.install(app)


@app.post("/api/things/", openapi_extra=takes(Sent))
def post(given: Annotated[Sent, body(Sent)]) -> dict[str, Any]:
    return given.model_dump(mode="json", exclude_unset=True)


@app.get("/api/things/{id}/")
def get(id: int, request: Request) -> list[str]:
    return [str(id), format_of(request)]


@app.get("/api/things/{id}/events")
def events(id: int) -> str:
    return "live"


client = TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/api/things/5/", ["5", "json"]),
        ("/api/things/5", ["5", "json"]),
        ("/api/things/5.json", ["5", "json"]),
        ("/api/things/5.csv", ["5", "csv"]),
        ("/api/things/5/?format=zip", ["5", "zip"]),
        ("/api/things/5/events", "live"),
    ],
)
def test_paths_as_clients_spell_them(path: str, found: object) -> None:
    answer = client.get(path, follow_redirects=False)
    assert (answer.status_code, answer.json()) == (200, found)


SENT = {"phase": 3, "name": "x", "tasks": [1, 2], "flag": True, "organization": None, "answers": {"a": [1]}}
FORM = {"phase": "3", "name": "x", "tasks": ["1", "2"], "flag": "true", "organization": "", "answers": '{"a": [1]}'}


def test_json_and_forms_say_the_same() -> None:
    assert client.post("/api/things/", json=SENT).json() == SENT
    assert client.post("/api/things/", data=FORM).json() == SENT
    assert client.post("/api/things/", data=FORM, files={"file": b"1"}).json() == SENT


@pytest.mark.parametrize(
    ("content", "kind", "status", "answer"),
    [
        (b"", "", 400, {"phase": ["This field is required."]}),
        (b"{", "application/json", 400, None),
        (b'{"phase": NaN}', "application/json", 400, None),
        (b'{"phase": 1e999}', "application/json", 400, None),
        (b'{"answers":' * 60 + b"1" + b"}" * 60, "application/json", 400, None),
        (b"[" * 100_000, "application/json", 400, None),
        (b"\xff\xfe\xff", "application/json", 400, None),
        (b"<a/>", "text/xml", 415, {"detail": 'Unsupported media type "text/xml" in request.'}),
        (b"3", "application/json", 400, {"non_field_errors": ["Invalid data. Expected a dictionary, but got int."]}),
        (b'{"phase": 99999999999999}', "application/json", 400, None),
        (b'{"phase": 1, "inner": {}}', "application/json", 400, {"inner": ["key: This field is required."]}),
        (b"--x", "multipart/form-data", 400, None),
    ],
)
def test_what_cannot_be_read_is_refused(content: bytes, kind: str, status: int, answer: object) -> None:
    found = client.post("/api/things/", content=content, headers={"content-type": kind} if kind else {})
    assert found.status_code == status, found.text
    assert answer is None or found.json() == answer


def test_texts_are_what_a_database_takes() -> None:
    sent = rb'{"phase": 1, "name": "a\u0000b", "answers": {"k\u0000": ["\ud800"]}}'
    found = client.post("/api/things/", content=sent, headers={"content-type": "application/json"})
    assert found.json() == {"phase": 1, "name": "ab", "answers": {"k": ["\ufffd"]}}
    assert client.post("/api/things/", data={"phase": "1", "name": "a\x00b"}).json()["name"] == "ab"


def test_the_document_says_what_is_taken() -> None:
    taken = client.get("/openapi.json").json()["paths"]["/api/things/"]["post"]["requestBody"]
    assert set(taken["content"]) == {"application/json", "application/x-www-form-urlencoded", "multipart/form-data"}
    assert taken["required"] is True
    schema = taken["content"]["application/json"]["schema"]
    assert schema["properties"]["inner"]["anyOf"][0]["required"] == ["key"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2025-03-01", datetime(2025, 3, 1, tzinfo=UTC)),
        ("2025-03-01T12:30:00Z", datetime(2025, 3, 1, 12, 30, tzinfo=UTC)),
        ("2025-03-01T12:30:00.5+02:00", datetime(2025, 3, 1, 10, 30, 0, 500000, tzinfo=UTC)),
        ("March 1, 2025", datetime(2025, 3, 1, tzinfo=UTC)),
    ],
)
def test_moments_as_clients_write_them(text: str, found: datetime) -> None:
    assert moment(text) == found


@pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(Invalid):
        checked(Sent, {"phase": 1, "when": text})


@settings(max_examples=50)
@given(st.datetimes(timezones=st.just(UTC)))
def test_moments_come_back(at: datetime) -> None:
    assert moment(wire(at)) == at
    assert wire(at).endswith("Z")
    assert len(wire(at)) == 27
