"""Following a pull: progress, ends, second tries; what the words of engines mean."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Any

import pytest

from codabench.backends import pulling
from codabench.backends.engine import StopSignal
from codabench.backends.pulling import Pull
from codabench.backends.refusals import refused
from codabench.core.errors import EngineError, EngineTimeout, ImageNotFound, Interrupted, RegistryError

Attempt = list[dict[str, Any] | Exception]
AWAY = {"error": "dial tcp 10.0.0.1:443: connect: connection refused"}


class Source:
    """Attempts of a pull, one after the other; the last one is repeated."""

    def __init__(self, *attempts: Attempt) -> None:
        self.attempts, self.begun, self.closed = attempts, 0, threading.Event()

    def __call__(self) -> Generator[dict[str, Any], None, None]:
        attempt = self.attempts[min(self.begun, len(self.attempts) - 1)]
        self.begun += 1
        try:
            for event in attempt:
                if isinstance(event, Exception):
                    raise event
                time.sleep(event.pop("after", 0))
                yield dict(event)
        finally:
            self.closed.set()


def pull(source: Source, seconds: float = 20.0, room: int | None = None, **more: Any) -> None:
    def explain(said: str) -> EngineError:
        return refused("x:1", said, "docker")

    Pull("x:1", "docker", source, explain, lambda: room, time.monotonic() + seconds, **more).fetch()


def moving(layer: str, current: int, total: int) -> dict[str, Any]:
    return {"status": "Downloading", "id": layer, "progressDetail": {"current": current, "total": total}}


def test_progress_in_bytes_over_all_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "_OFTEN", 0.0)
    seen: list[dict[str, Any]] = []
    begun = {"status": "Pulling fs layer", "id": "b", "progressDetail": {}}
    done = {"status": "Download complete", "id": "a", "progressDetail": {}}
    pull(Source([begun, moving("a", 1024, 2048), moving("b", 0, 6144), done]), emit=seen.append)
    sizes = [(e.get("current"), e.get("total")) for e in seen]
    assert sizes == [(None, None), (1024, 2048), (1024, 8192), (2048, 8192)]
    assert seen[-1] == {
        "type": "pull",
        "image": "x:1",
        "status": "Download complete",
        "layer": "a",
        "current": 2048,
        "total": 8192,
        "progress": "2.0 KiB of 8.0 KiB",
    }


def test_bytes_are_told_a_few_times_a_second() -> None:
    seen: list[dict[str, Any]] = []
    pull(Source([moving("a", n, 10_000) for n in range(10_000)]), emit=seen.append)
    assert 0 < len(seen) < 100


def test_an_absent_image_is_not_asked_for_again() -> None:
    source = Source([{"status": "Pulling"}, {"error": "manifest unknown"}])
    with pytest.raises(ImageNotFound, match=r"x:1 .*manifest unknown"):
        pull(source)
    assert source.begun == 1


def test_an_engine_that_is_lost_is_not_asked_again() -> None:
    source = Source([{}, EngineError("gone")])
    with pytest.raises(EngineError, match="gone"):
        pull(source)
    assert source.begun == 1


def test_a_registry_that_fails_is_asked_again() -> None:
    source, seen = Source([AWAY], [{"status": "Done"}]), list[dict[str, Any]]()
    pull(source, emit=seen.append)
    assert source.begun == 2
    assert "trying again" in seen[0]["status"]
    assert "connection refused" in seen[0]["status"]


def test_a_registry_that_fails_for_ever() -> None:
    began, source = time.monotonic(), Source([AWAY])
    with pytest.raises(RegistryError, match="connection refused") as caught:
        pull(source, seconds=3)
    assert time.monotonic() - began < 3
    assert source.begun > 1
    assert caught.value.code == "CB606"


def test_a_silent_registry() -> None:
    source = Source([{"status": "Retrying in 5 seconds"}, {"after": 1.0}, {"after": 1.0}])
    with pytest.raises(EngineTimeout, match=r"x:1 .*Retrying in 5 seconds"):
        pull(source, seconds=0.1)
    assert source.closed.wait(5)


@pytest.mark.parametrize("attempt", [[{"after": 1.0}, {"after": 1.0}], [AWAY]], ids=["a word awaited", "a pause"])
def test_a_cancelled_pull_ends_at_once(attempt: Attempt) -> None:
    stop = StopSignal()
    threading.Timer(0.1, stop.set).start()
    began, source = time.monotonic(), Source(attempt)
    with pytest.raises(Interrupted, match="x:1"):
        pull(source, stop=stop)
    assert time.monotonic() - began < 0.9
    assert source.closed.wait(5)


def test_what_has_no_place_is_refused_while_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "_ROOM_EVERY", 0.0)
    with pytest.raises(EngineError, match=r"97\.7 KiB more, and 9\.8 KiB are free") as caught:
        pull(Source([moving("a", 0, 100_000)]), room=10_000)
    assert caught.value.code == "CB609"
    pull(Source([moving("a", 99_000, 100_000)]), room=10_000)


WORDS = {
    "manifest for 127.0.0.1:5000/lab/x:1 not found: manifest unknown: manifest unknown": "CB603",
    "reading manifest 1 in 127.0.0.1:5000/lab/x: name unknown: repository name not known to registry": "CB603",
    "pull access denied for lab/x, repository does not exist or may require 'docker login': denied": "CB603",
    "manifest for lab/timeout:1 not found: manifest unknown": "CB603",
    'Head "http://127.0.0.1:5000/v2/lab/x/manifests/1": no basic auth credentials': "CB607",
    "reading manifest 1 in r.example.org/lab/x: unauthorized: authentication required": "CB607",
    "requested access to the resource is denied": "CB607",
    'Get "http://127.0.0.1:42917/v2/": dial tcp 127.0.0.1:42917: connect: connection refused': "CB606",
    'Get "https://r.example.org/v2/": dial tcp: lookup r.example.org on 10.0.0.1:53: no such host': "CB606",
    'Get "https://r.example.org/v2/": net/http: TLS handshake timeout': "CB606",
    "invalid status code from registry 500 (Internal Server Error)": "CB606",
    "toomanyrequests: You have reached your pull rate limit": "CB606",
    "http: server gave HTTP response to HTTPS client": "CB606",
    "tls: failed to verify certificate: x509: certificate signed by unknown authority": "CB606",
    "something that nobody has said before": "CB606",
    "filesystem layer verification failed for digest sha256:00": "CB608",
    "happened during read: Digest did not match, expected sha256:00, got sha256:11": "CB608",
    "write /var/lib/docker/tmp/GetImageBlob1: no space left on device": "CB609",
}


@pytest.mark.parametrize("said", WORDS)
@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_what_the_words_mean(said: str, engine: str) -> None:
    name = "lab/timeout:1" if "timeout:1" in said else "127.0.0.1:5000/lab/x:1"
    error = refused(name, said, engine)
    assert error.code == WORDS[said]
    assert said in error.message
    assert name in error.message
    assert error.hint
    lasting = any(word in said for word in ("certificate", "HTTPS client"))
    assert getattr(error, "passing", False) is (error.code in ("CB606", "CB608") and not lasting)
    if error.code == "CB607":
        assert f"`{engine} login 127.0.0.1:5000`" in error.hint
