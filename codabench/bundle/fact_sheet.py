"""The fact sheet: its questions in a bundle, and the answers that come with a submission (contract.md 1.10, 4.13)."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence as AnySequence
from typing import Any, Literal, cast

from codabench.bundle.edits import mending, renamed, replaced
from codabench.bundle.fields import Fields, shorten, spelled
from codabench.bundle.nodes import Mapping, Node, Scalar, Sequence, kind, scalar_value
from codabench.core.competition import QuestionSpec
from codabench.core.problems import Fault, Problem, Severity
from codabench.core.text import did_you_mean, is_slip

_KEYS = ("key", "type", "title", "selection", "is_required", "is_on_leaderboard")
_EXAMPLE = "write {key: ..., type: text, title: ..., selection: '', is_required: false, is_on_leaderboard: false}"
_TYPES = ("checkbox", "text", "select")


def read_fact_sheet(top: Fields) -> tuple[QuestionSpec, ...]:
    """The questions under ``fact_sheet``."""
    node = top.get("fact_sheet")
    if node is None or (isinstance(node, Scalar) and not node.text.strip()):
        return ()
    if not isinstance(node, Mapping):
        top.error(
            "CB120",
            f"fact_sheet must be a mapping of questions, it is {kind(node)}",
            node,
            "write key: {key: ..., ...}",
        )
        return ()
    found = [_question(key, place, inner, top) for key, (place, inner) in node.entries.items()]
    return tuple(question for question in found if question)


def _question(key: str, place: Node, node: Node, top: Fields) -> QuestionSpec | None:
    if not isinstance(node, Mapping):
        top.error("CB120", f"the question {shorten(key)} must be a mapping, it is {kind(node)}", place, _EXAMPLE)
        return None
    before = len(top.source.problems)
    fields = Fields(node, top.source, f"question {shorten(key)}")
    if lacking := [name for name in _KEYS if name not in node.entries]:
        top.error("CB120", f"the question {shorten(key)} lacks {spelled(lacking, 'and')}", place, "add them")
    for name, (where, _) in node.entries.items():
        if name not in _KEYS:
            guess = did_you_mean(name, _KEYS)
            hint = f"did you mean {guess}?" if guess else f"a question has {spelled(_KEYS, 'and')}"
            message = f"the question {shorten(key)} has a key that is not known: {shorten(name)}"
            fix = None
            if guess and guess not in node.entries:
                edit = renamed(top.source, where, guess)
                fix = mending(f"write {guess} instead of {shorten(name)}", edit, safe=is_slip(name, guess))
            top.error("CB121", message, where, hint, fix)
    inner = fields.text("key", key)
    if inner != key:
        message = f"the question {shorten(key)} says inside that its key is {shorten(str(inner))}"
        inside = node.get("key")
        fix = mending(f"write key: {key}", replaced(top.source, inside, key), safe=False) if inside else None
        top.error("CB122", message, node.key("key"), f"write key: {key}", fix)
    question = {
        "key": key,
        "title": fields.text("title", "") or "",
        "type": cast(Literal["checkbox", "text", "select"], fields.choice("type", _TYPES, "text")),
        "selection": _selection(fields),
        "is_required": fields.flag("is_required"),
        "is_on_leaderboard": fields.flag("is_on_leaderboard"),
    }
    errors = any(p.severity is Severity.ERROR for p in top.source.problems[before:])
    return None if errors else QuestionSpec.model_validate(question)


def _selection(fields: Fields) -> tuple[bool | str, ...]:
    node = fields.get("selection")
    if node is None or (isinstance(node, Scalar) and not node.text):
        return ()
    if not isinstance(node, Sequence) or not all(isinstance(item, Scalar) for item in node.items):
        fields.error(
            "CB123",
            f"the selection of {fields.what} must be a list of texts or of true and false",
            node,
            "write selection: [a, b]",
        )
        return ()
    found: list[bool | str] = []
    for item in node.items:
        chosen = scalar_value(cast(Scalar, item))
        found.append(chosen if isinstance(chosen, bool) else cast(Scalar, item).text)
    return tuple(found)


def check_answers(questions: AnySequence[QuestionSpec], answers: AnyMapping[str, Any] | None) -> list[Problem]:
    """What is wrong with the answers of a submission; an empty list if they can be taken.

    The keys must be those of the questions exactly. Where there is a selection, the answer is one of it; a required
    question needs an answer that is not empty. No answers at all are fine if none is required.
    """
    if answers is None:
        return [_requires(q) for q in questions if q.is_required]
    if not isinstance(answers, AnyMapping):
        return [_wrong("CB129", "the answers must be a mapping from the keys of the questions")]
    problems = []
    known = {q.key: q for q in questions}
    for question in questions:
        if question.key in answers:
            problems += _check(question, answers[question.key])
        elif question.is_required:
            problems.append(_requires(question))
        else:
            message = f"{shorten(question.key)} is missing"
            problems.append(_wrong("CB125", message, "every question is answered, also with an empty text"))
    for key in answers:
        if key not in known:
            guess = did_you_mean(str(key), known)
            hint = (
                f"did you mean {guess}?" if guess else f"the questions are {spelled(known, 'and')}" if known else None
            )
            problems.append(_wrong("CB126", f"{shorten(str(key))} is not a question of this competition", hint))
    return problems


def _check(question: QuestionSpec, answer: Any) -> list[Problem]:
    if question.is_required and (answer is None or (isinstance(answer, str) and not answer.strip())):
        return [_requires(question)]
    if question.selection:
        # A form sends "true" where JSON has true.
        if any(_same(answer, choice) for choice in question.selection):
            return []
        choices = spelled([_written(c) for c in question.selection])
        message = f"{shorten(_written(answer))} is not one of the choices of {shorten(question.key)}"
        return [_wrong("CB127", message, f"choose {choices}")]
    if answer is None or isinstance(answer, (str, bool, int, float)):
        return []
    return [_wrong("CB127", f"the answer to {shorten(question.key)} must be text")]


def _same(answer: Any, choice: bool | str) -> bool:
    if isinstance(choice, bool):
        return answer is choice or (isinstance(answer, str) and answer.lower() == _written(choice))
    return isinstance(answer, str) and answer == choice


def _written(answer: Any) -> str:
    return str(answer).lower() if isinstance(answer, bool) else str(answer)


def _requires(question: QuestionSpec) -> Problem:
    return _wrong("CB128", f"{shorten(question.key)} requires an answer", f"the question is: {question.title}")


def _wrong(code: str, message: str, hint: str | None = None) -> Problem:
    return Problem(code=code, severity=Severity.ERROR, message=message, hint=hint, fault=Fault.PARTICIPANT)
