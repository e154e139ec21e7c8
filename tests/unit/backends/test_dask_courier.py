"""What a worker reports: in order, each once, steps at once, output at a bounded rate; what goes can be told."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from codabench.backends.dask.courier import BURST, PENDING, RATE, Courier, Outbox, batches
from codabench.backends.handle import WorkHandle, weight

PIECE = 64 * 1024


def log(offset: int, size: int, name: str = "scoring_stdout") -> dict[str, Any]:
    return {"type": "log", "name": name, "offset": offset, "data": base64.b64encode(bytes(size)).decode()}


def step(number: int) -> dict[str, Any]:
    return {"type": "step", "event": "ScoringStarted", "number": number}


acts = st.lists(
    st.one_of(
        st.tuples(st.just("log"), st.integers(1, PIECE), st.sampled_from("ab")),
        st.tuples(st.just("step"), st.just(0), st.just("")),
        st.tuples(st.just("plot"), st.integers(1, 1000), st.just("")),
        st.tuples(st.just("usage"), st.just(0), st.sampled_from(["prediction", "scoring"])),
        st.tuples(st.just("take"), st.integers(0, 20), st.just("")),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(acts)
def test_nothing_comes_twice_or_out_of_order_and_what_is_missing_can_be_told(does: list[tuple[str, int, str]]) -> None:
    outbox, given_, sent, ends = Outbox(), [], [], dict.fromkeys("ab", 0)
    for number, (what, much, name) in enumerate(does):
        if what == "take":
            sent += outbox.take(much / 10)
            continue
        made: dict[str, Any] = {"number": number, "type": what}
        if what == "log":
            made |= log(ends[name], much, name)
            ends[name] += much
        elif what == "plot":
            made["data"] = {"type": "plot", "y": "x" * much}
        elif what == "usage":
            made["step"] = name
        outbox.put(made)
        given_.append(made)
        if what == "step":
            sent += outbox.take(0.0)
            assert sent[-1] is made  # at once, and all that lay before it
    sent += outbox.take(0.0, everything=True)
    assert not outbox
    numbers = [event["number"] for event in sent]
    assert numbers == sorted(set(numbers))
    kept = {event["number"] for event in sent}
    assert all(event["number"] in kept for event in given_ if event["type"] in ("step", "plot"))
    if sum(weight(event) for event in given_ if event["type"] == "log") <= PENDING:
        assert all(event["number"] in kept for event in given_ if event["type"] == "log")
    last = {event["step"]: event["number"] for event in given_ if event["type"] == "usage"}
    assert set(last.values()) <= kept


def test_of_a_flood_the_beginning_and_the_newest_wait_and_the_rest_goes() -> None:
    outbox, pieces = Outbox(), 2000
    for number in range(pieces):
        outbox.put(log(number * PIECE, PIECE))
    waiting = outbox.take(0.0, everything=True)
    assert sum(map(weight, waiting)) <= PENDING + weight(log(0, PIECE))
    offsets = [event["offset"] // PIECE for event in waiting]
    assert offsets[:-1] == list(range(len(offsets) - 1))
    assert offsets[-1] == pieces - 1


def test_a_flood_leaves_at_a_bounded_rate() -> None:
    outbox, sent, seconds = Outbox(), 0, 60
    for tenth in range(seconds * 10):
        for number in range(4):
            outbox.put(log((4 * tenth + number) * PIECE, PIECE))
        sent += sum(map(weight, outbox.take(0.1)))
    assert seconds * RATE < sent <= BURST + seconds * RATE + weight(log(0, PIECE))


def test_a_step_does_not_wait_for_the_flood_before_it() -> None:
    outbox = Outbox()
    for number in range(2000):
        outbox.put(log(number * PIECE, PIECE))
    outbox.take(0.1)
    outbox.put(step(1))
    assert outbox.take(0.1)[-1] == step(1)


@given(st.lists(st.one_of(st.builds(log, st.integers(0, 9), st.integers(0, 70_000)), st.builds(step, st.integers()))))
@settings(max_examples=50, deadline=None)
def test_messages_hold_all_events_in_order_and_are_small(events: list[dict[str, Any]]) -> None:
    found = list(batches(events))
    assert [event for _, text in found for event in json.loads(text)] == events
    for kind, text in found:
        assert len(text) < 256 * 1024
        assert {kind} == {"output" if event["type"] == "log" else "events" for event in json.loads(text)}


def test_a_courier_tells_everything_before_the_end() -> None:
    sent: list[dict[str, Any]] = []
    courier = Courier("key", sent.append)
    events = [step(0), *(log(n * 1000, 1000) for n in range(500)), step(1)]
    for event in events:
        courier.emit(event)
    courier.end("result", {"done": True})
    assert [message["kind"] for message in (sent[0], sent[-1])] == ["began", "result"]
    assert [message["number"] for message in sent] == list(range(len(sent)))
    told = [event for message in sent[1:-1] for event in json.loads(message["text"])]
    assert told == events


def test_a_handle_keeps_the_last_events_and_little_output() -> None:
    handle = WorkHandle("key")
    for number in range(5000):
        handle.put_event(log(number, 4096))
    handle.finish({})
    kept = list(handle.events())
    assert kept[-1]["offset"] == 4999
    assert sum(map(weight, kept)) <= 1 << 20
    for number in range(3000):
        handle.put_event(step(number))
    assert len(list(handle.events())) == 1000
