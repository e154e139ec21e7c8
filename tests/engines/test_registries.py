"""Images from a real registry on loopback, which is well, down, slow, or lies. Nothing here needs another machine."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback_registry import PASSWORD, USER, Faulty, Registry, busybox

import codabench as cb
from codabench.backends import pulling, resolving
from codabench.backends.docker import DockerEngine
from codabench.backends.engine import StopSignal
from codabench.backends.podman import PodmanEngine
from codabench.core.errors import EngineError, EngineTimeout, ImageNotFound, Interrupted, RegistryError
from codabench.core.policy import Policy
from codabench.core.problems import Fault
from codabench.core.records import Status
from codabench.testing.bench import Bench
from codabench.testing.bundles import write_bundle, write_files

pytestmark = [pytest.mark.engine, pytest.mark.once]

KINDS = ["podman"] if os.geteuid() else ["docker", "podman"]
"""An ordinary user's Docker is root's: nothing of this would differ."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    made = Registry(tmp_path_factory.mktemp("registry"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    made = Registry(tmp_path_factory.mktemp("private"), login=True)
    made.push("lab/a", "1", busybox(x=os.urandom(100)))
    yield made
    made.close()


@pytest.fixture(scope="module")
def setting() -> tuple[list[str], dict[str, tuple[str, str]]]:
    """Hosts without encryption, and credentials: what the engines are made with, and tests change."""
    return [], {}


@pytest.fixture(scope="module", params=KINDS)
def pulling_engine(
    request: pytest.FixtureRequest, setting: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    url, (hosts, auth) = request.getfixturevalue(f"{request.param}_url"), setting
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        made: Any = (
            DockerEngine(url, registry_auth=auth)
            if request.param == "docker"
            else PodmanEngine(url, registry_auth=auth, insecure_registries=hosts)
        )
        yield made
        made.close()


@pytest.fixture
def engine(pulling_engine: Any, setting: Any, registry: Registry, private: Registry) -> Iterator[Any]:
    """An engine; what a test has pulled goes at its end."""
    setting[0][:] = [registry.host, private.host]
    setting[1].clear()
    pulling_engine.probe()  # so that no connection is made while time is measured
    yield pulling_engine
    clear(pulling_engine)


@pytest.fixture
def proxied(registry: Registry, setting: Any) -> Iterator[Callable[..., Faulty]]:
    """A proxy before the registry that shows a fault in answers to requests for paths with a certain word."""
    made: list[Faulty] = []

    def make(fault: Any, word: str = "", times: float = float("inf")) -> Faulty:
        def behave(method: str, path: str) -> Any:
            nonlocal times
            if word not in path or times <= 0:
                return None
            times -= 1
            return fault

        made.append(Faulty(registry.port, behave))
        setting[0].append(made[-1].host)
        return made[-1]

    yield make
    for each in made:
        each.close()


def clear(engine: Any) -> None:
    engine._remover.flush()
    for image in engine.driver.client.images():
        if any(str(tag).startswith("127.0.0.1:") for tag in (image["RepoTags"] or image["RepoDigests"] or ())):
            engine.driver.client.remove_image(image["Id"], force=True)


def test_the_digest_is_that_of_the_registry(registry: Registry, engine: Any) -> None:
    events: list[dict[str, Any]] = []
    digest = registry.push("lab/known", "1", busybox(x=os.urandom(5_000_000)))
    by_tag = engine.resolve(f"{registry.host}/lab/known:1", emit=events.append)
    assert by_tag.digest == digest
    by_digest = engine.resolve(f"{registry.host}/lab/known@{digest}")
    assert (by_digest.id, by_digest.digest) == (by_tag.id, digest)
    assert {e["type"] for e in events} == {"pull"}
    sizes = [e.get("current", 0) for e in events]
    assert sizes == sorted(sizes)
    if engine.name == "docker":  # Podman's call for registries without encryption tells no bytes
        assert events[-1]["current"] == events[-1]["total"] > 5_000_000
        size = f"{events[-1]['total'] / 1024 / 1024:.1f} MiB"
        assert events[-1]["progress"] == f"{size} of {size}"


def test_an_image_that_is_here_needs_no_registry(registry: Registry, engine: Any, proxied: Any) -> None:
    registry.push("lab/here", "1", busybox(x=os.urandom(100)))
    proxy = proxied(None)
    name = f"{proxy.host}/lab/here:1"
    first = engine.resolve(name)
    proxy.close()
    assert engine.resolve(name) == first
    assert engine.resolve(name, pull="never") == first
    with pytest.raises((RegistryError, EngineTimeout), match=name):
        engine.resolve(name, pull="always", timeout=0.5)


FAULTS: dict[str, tuple[Any, str]] = {
    "server error": (500, "/v2/"),
    "too many requests": (429, "manifests"),
    "broken connection": ("reset", ""),
    "cut body": ("cut", "blobs"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_registry_that_fails(fault: str, registry: Registry, engine: Any, proxied: Any) -> None:
    """Its words are quoted, or it took too long: engines themselves try some of these again, for minutes."""
    registry.push("lab/fails", "1", busybox(x=os.urandom(1000)))
    proxy = proxied(*FAULTS[fault])
    began = time.monotonic()
    with pytest.raises((RegistryError, EngineTimeout)) as caught:
        engine.resolve(f"{proxy.host}/lab/fails:1", timeout=1.2)
    assert time.monotonic() - began < 2.2
    assert caught.value.code in ("CB604", "CB606")
    assert f"{proxy.host}/lab/fails:1" in caught.value.message
    assert caught.value.hint
    assert proxy.seen


def test_a_registry_that_fails_once(registry: Registry, engine: Any, proxied: Any) -> None:
    digest = registry.push("lab/once", "1", busybox(x=os.urandom(1000)))
    proxy, events = proxied(500, "manifests", times=2), list[dict[str, Any]]()
    found = engine.resolve(f"{proxy.host}/lab/once:1", emit=events.append)
    assert found.digest == digest
    assert any("trying again" in e["status"] for e in events)


@pytest.mark.parametrize(("fault", "word"), [("blackhole", ""), ("drip", "blobs")])
def test_a_registry_that_says_nothing(fault: str, word: str, registry: Registry, engine: Any, proxied: Any) -> None:
    registry.push("lab/slow", "1", busybox(x=os.urandom(1000)))
    proxy = proxied(fault, word)
    name = f"{proxy.host}/lab/slow:1"
    began = time.monotonic()
    with pytest.raises(EngineTimeout, match=name) as caught:
        engine.resolve(name, timeout=0.6)
    assert 0.5 < time.monotonic() - began < 1.6
    assert caught.value.code == "CB604"
    stop, began = StopSignal(), time.monotonic()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(Interrupted):
        engine.resolve(name, stop=stop)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("word", ["blobs", "manifests/sha256"])
def test_a_registry_that_lies(word: str, registry: Registry, engine: Any, proxied: Any) -> None:
    """What does not have its digest is refused, and nothing of it stays; without the lie the same name works."""
    digest = registry.push("lab/lies", "1", busybox(x=os.urandom(1000)))
    lying, honest = proxied("lie", word), proxied(None)
    with pytest.raises(EngineError) as caught:
        engine.resolve(f"{lying.host}/lab/lies@{digest}", timeout=1)
    assert caught.value.code == "CB608", caught.value
    assert engine.driver.inspect_image(f"{lying.host}/lab/lies@{digest}") is None
    assert engine.resolve(f"{honest.host}/lab/lies@{digest}").digest == digest


def test_an_image_that_does_not_exist(registry: Registry, engine: Any) -> None:
    registry.push("lab/other", "1", busybox())
    for name in ("lab/other:2", "lab/there-is-none:1"):
        with pytest.raises(ImageNotFound, match=f"{registry.host}/{name}") as caught:
            engine.resolve(f"{registry.host}/{name}")
        assert "unknown" in caught.value.message


def test_a_registry_without_encryption_has_to_be_named(registry: Registry, podman_url: str) -> None:
    """Docker takes those on loopback as they are."""
    with PodmanEngine(podman_url) as engine, pytest.raises(RegistryError) as caught:
        engine.resolve(f"{registry.host}/lab/other:1", timeout=5)
    assert f'insecure_registries=("{registry.host}",)' in str(caught.value.hint)


def test_a_private_registry(
    private: Registry, engine: Any, setting: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, events, auth = f"{private.host}/lab/a:1", list[dict[str, Any]](), setting[1]
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "nothing"))
    with pytest.raises(RegistryError) as caught:
        engine.resolve(name)
    assert caught.value.code == "CB607"
    assert f"login {private.host}`" in str(caught.value.hint)
    auth[private.host] = (USER, "wr0ng-pass")
    with pytest.raises(RegistryError) as caught:
        engine.resolve(name)
    assert caught.value.code == "CB607"
    assert "wr0ng-pass" not in f"{caught.value} {caught.value.hint}"
    auth[private.host] = (USER, PASSWORD)
    assert engine.resolve(name, emit=events.append).digest
    assert PASSWORD not in f"{events} {engine!r}"
    clear(engine)
    auth.clear()
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"auths": {private.host: {"username": USER, "password": PASSWORD}}}))
    monkeypatch.setenv("CODABENCH_REGISTRY_AUTH", str(file))
    assert engine.resolve(name).digest


def test_no_room(registry: Registry, engine: Any, proxied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest that speaks of a petabyte: nothing of it is downloaded."""
    small = registry.blob("lab/huge", b"small", "application/vnd.docker.image.rootfs.diff.tar.gzip")
    config = registry.blob("lab/huge", b"{}", "application/vnd.docker.container.image.v1+json")
    manifest = {"schemaVersion": 2, "config": config, "layers": [{**small, "size": 10**15}]}
    manifest["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json"
    registry.put_manifest("lab/huge", "1", manifest)
    proxy = proxied(None)
    monkeypatch.setattr(resolving, "PLENTY", float("inf"))
    with pytest.raises(EngineError, match=r"at least 1819\.0 TiB") as caught:
        engine.resolve(f"{proxy.host}/lab/huge:1", timeout=5)
    assert caught.value.code == "CB609"
    assert not [path for _, path, _ in proxy.seen if "blobs" in path]


def test_what_was_pulled_can_be_removed_again(registry: Registry, engine: Any, tmp_path: Path) -> None:
    names = {}
    for what in ("free", "used", "named", "by-hand"):
        registry.push(f"lab/{what}", "1", busybox(x=os.urandom(100)))
        names[what] = f"{registry.host}/lab/{what}:1"
    list(engine.driver.pull(names["by-hand"], None, None))
    images = {what: engine.resolve(name) for what, name in names.items()}
    container = engine.create(Bench(engine, images["used"], tmp_path).spec("true"))
    engine.driver.client.tag(images["named"].id, f"{registry.host}/mine/named", "1")

    def pruned(older_than: float, **how: Any) -> dict[str, str]:
        return {p.name.split("/")[-1]: p.outcome for p in engine.prune_images(older_than, **how)}

    assert pruned(3600.0) == {"free:1": "kept", "named:1": "kept", "used:1": "kept"}
    assert pruned(0, dry_run=True) == {"free:1": "would be removed", "named:1": "kept", "used:1": "kept"}
    assert engine.driver.inspect_image(names["free"]) is not None
    assert pruned(0) == {"free:1": "removed", "named:1": "kept", "used:1": "kept"}
    assert engine.driver.inspect_image(names["free"]) is None
    container.discard()
    engine._remover.flush()
    assert pruned(0) == {"named:1": "kept", "used:1": "removed"}
    assert engine.driver.inspect_image(names["by-hand"]) is not None


def test_what_was_pulled_is_kept_within_a_bound(registry: Registry, engine: Any, tmp_path: Path) -> None:
    """Of six images of three megabytes the oldest go until two are left, but none that something needs."""
    names, images = {}, {}
    for age, what in enumerate(("running", "busy", "named", "old", "older", "new")):
        registry.push(f"lab/kept-{what}", "1", busybox(x=os.urandom(3_000_000)))
        names[what] = f"{registry.host}/lab/kept-{what}:1"
        images[what] = engine.resolve(names[what])
        used = time.time() - 1000 + 100 * age
        os.utime(engine._resolver.pulled._path(images[what].id), (used, used))
    container = engine.create(Bench(engine, images["running"], tmp_path).spec("true"))
    engine.driver.client.tag(images["named"].id, f"{registry.host}/mine/kept", "1")

    def trimmed(cap: float, **how: Any) -> list[str]:
        gone = engine.trim_images(int(cap), **how)
        assert all(engine.driver.inspect_image(image.id) is None for image in gone)
        return [image.name.rpartition("-")[2] for image in gone]

    each = max(image.size for image in images.values())
    busy = {names["busy"]}
    assert trimmed(6.5 * each, busy=lambda: busy) == []
    assert trimmed(5.5 * each, busy=lambda: busy) == ["old:1"]
    assert trimmed(0, busy=lambda: busy, older_than=5000) == [], "they were used a short while ago"
    assert trimmed(0, busy=lambda: busy) == ["older:1", "new:1"]
    container.discard()
    engine._remover.flush()
    assert trimmed(0) == ["running:1", "busy:1"]
    assert engine.driver.inspect_image(names["named"]) is not None


WHICH = "command: sh -c 'cp /which /app/output/which; sleep 0.7'\n"
SCORE = {
    "metadata.yaml": "command: sh /app/program/score.sh\n",
    "score.sh": 'echo "first: $(cat /app/input/res/which)" > /app/output/scores.txt\n'
    'echo "second: $(cat /which)" >> /app/output/scores.txt\n',
}


def competition(folder: Path, image: str) -> Any:
    return cb.load(write_bundle(folder, image=image, scoring=SCORE, columns=("first", "second"), time_limit=30))


@pytest.fixture
def submission(tmp_path: Path) -> Path:
    return write_files(tmp_path / "submission", {"metadata.yaml": WHICH})


class Watch:
    """Progress that calls a function with each event."""

    def __init__(self, call: Callable[[dict[str, Any]], None]) -> None:
        self.event = call

    def added(self, handle: Any) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def test_a_tag_that_moves_changes_no_run(registry: Registry, engine: Any, tmp_path: Path, submission: Path) -> None:
    """Both steps of a run have the image of its beginning; the next run, asked to, has the new one."""
    first, second = busybox(which=b"1"), busybox(which=b"2")
    digest = registry.push("lab/moves", "1", first)
    made = competition(tmp_path / "bundle", f"{registry.host}/lab/moves:1")

    def move(event: dict[str, Any]) -> None:
        if event["type"] == "status" and event["status"] is Status.RUNNING:
            registry.push("lab/moves", "1", second)
            list(engine.driver.pull(f"{registry.host}/lab/moves:1", None, None))

    run = made.run(submission, backend=engine, pull="always", progress=Watch(move)).run
    assert run.scores == {"first": 1.0, "second": 1.0}, (run.problem, run.logs)
    assert run.provenance["image"]["digest"] == digest
    again = made.run(submission, backend=engine, pull="always", progress="none").run
    assert again.scores == {"first": 2.0, "second": 2.0}
    made.close()


def test_whose_fault_it_is(
    registry: Registry, engine: Any, proxied: Any, tmp_path: Path, submission: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "TRY_FOR", 0.5)
    asked, down = proxied(None), proxied(500)

    def problem(image: str, **how: Any) -> Any:
        made = competition(tmp_path / image.replace("/", "_"), image)
        handle = made.workspace.submit(made, submission, backend=engine, enforce=False, **how).wait(20)
        found = handle.problem
        made.close()
        return found

    away = problem(f"{down.host}/lab/x:1")
    assert (away.code, away.fault) == ("CB606", Fault.OPERATOR)
    absent = problem(f"{registry.host}/lab/none:1")
    assert (absent.code, absent.fault) == ("CB603", Fault.ORGANIZER)
    refused = problem(f"{asked.host}/lab/x:1", policy=Policy(registries=("docker.io",)))
    assert (refused.code, refused.fault) == ("CB362", Fault.ORGANIZER)
    assert not asked.seen


def test_cancel_in_the_pull(registry: Registry, engine: Any, proxied: Any, tmp_path: Path, submission: Path) -> None:
    proxy = proxied("blackhole")
    made = competition(tmp_path / "bundle", f"{proxy.host}/lab/x:1")
    handle = made.workspace.submit(made, submission, backend=engine, enforce=False)
    until = time.monotonic() + 10
    while not proxy.seen and time.monotonic() < until:
        time.sleep(0.01)
    assert proxy.seen
    began = time.monotonic()
    handle.cancel()
    handle.wait(10)
    assert time.monotonic() - began < 2
    assert handle.run.status is Status.CANCELLED
    made.close()


def test_rootless(
    registry: Registry, rootless_podman_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an ordinary user all of the above runs with this service; this much it does for root, too."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    digest = registry.push("lab/rootless", "1", busybox(x=os.urandom(100)))
    with PodmanEngine(rootless_podman_url, insecure_registries=(registry.host,)) as engine:
        image = engine.resolve(f"{registry.host}/lab/rootless:1")
        assert image.digest == digest
        assert Bench(engine, image, tmp_path).run("cat", "/proc/self/uid_map").code == 0
        clear(engine)


def test_a_receipt_verifies_with_its_very_image(registry: Registry, engine: Any, tmp_path: Path) -> None:
    """The tag has been moved since, and nothing of it is here any more."""
    name = f"{registry.host}/lab/scored:1"
    registry.push("lab/scored", "1", busybox(x=b"1"))
    scoring = {
        "metadata": "command: sh score.sh\n",
        "score.sh": """echo "{\\"score\\": $(cat /x)}" > /app/output/scores.json\n""",
    }
    bundle = write_bundle(tmp_path / "bundle", scoring=scoring, image=name)
    mine = write_files(tmp_path / "mine", {"answer.txt": "42\n"})
    with cb.load(bundle) as comp:
        run = comp.run(mine, backend=engine, progress="none").run
        assert run.scores == {"score": 1.0}, run
        receipt = run.receipt()
    registry.push("lab/scored", "1", busybox(x=b"2"))
    clear(engine)
    found = cb.verify(receipt, bundle=bundle, submission=mine, backend=engine)
    assert found.reproduces, found
    assert [note for note in found.notes if "image" in note] == []
    other = cb.verify(receipt, bundle=bundle, submission=mine, backend=engine, image=name, pull="always")
    assert not other.reproduces
    assert [(c.recorded, c.found) for c in other.columns] == [(1.0, 2.0)]
    assert [note.partition(":")[0] for note in other.notes if "image" in note] == ["image"]
