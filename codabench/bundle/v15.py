"""Bundles of format v1.5, and "v1.8", with the meaning that CodaLab gave them (contract.md section 2).

What CodaLab did and this library does not is a note in the report; its keys are kept in ``extras``.
"""

from __future__ import annotations

from typing import Any

from codabench.bundle.fields import Fields
from codabench.bundle.files import BundleFiles
from codabench.bundle.nodes import Mapping, Source
from codabench.bundle.v2 import read_queue
from codabench.bundle.v15_leaderboards import read_leaderboards
from codabench.bundle.v15_losses import IMAGES, LOST_AT_TOP, note_losses, warn_of_losses
from codabench.bundle.v15_phases import PhaseReader
from codabench.bundle.v15_trees import unpack_program
from codabench.core.competition import DEFAULT_IMAGE, CompetitionSpec, PageSpec, SubmissionRule
from codabench.core.problems import Location

_FLAGS = {
    "make_programs_available": False,
    "make_input_data_available": False,
    "enable_detailed_results": False,
    "show_detailed_results_in_submission_panel": True,
    "show_detailed_results_in_leaderboard": True,
    "auto_run_submissions": True,
}
_NO_EFFECT = ("version", "start_date", "is_public", "docker_image")
_ASSETS = "ASSET_BASE_URL"


def read_v15(root: Mapping, source: Source, files: BundleFiles) -> CompetitionSpec:
    """The competition that a v1.5 bundle describes; every problem goes to `source`.

    What is returned is complete only if there was no error.
    """
    files.unpack = unpack_program
    top = Fields(root, source)
    for key in ("version", "title", "html", "phases", "leaderboard", "image", "competition_docker_image"):
        top.get(key)  # so that no key that is known is taken for a misspelling of another
    title = top.text("title", "", required=True, most=256) or ""
    pages, terms = _pages(top, files)
    phases = PhaseReader(top, files)
    rule = _rule(top, phases.read)
    leaderboards, groups = read_leaderboards(top, rule)
    spec: dict[str, Any] = {
        "format": "v1.5",
        "title": title,
        "description": top.text("description", "") or "",
        "image": _image(top, files),
        "terms_file": terms.file,
        "terms": terms.content,
        "pages": pages,
        "tasks": phases.tasks,
        "phases": phases.phases,
        "leaderboards": leaderboards,
        "docker_image": _docker_image(top),
        "registration_auto_approve": not top.flag("has_registration"),
        "forum_enabled": top.flag("enable_forum", True),
        "can_participants_make_submissions_public": top.flag("allow_public_submissions", True),
        "queue": read_queue(top),
        "reward": top.text("reward", most=256),
        **{name: top.flag(name, default) for name, default in _FLAGS.items()},
    }
    note_losses([top], LOST_AT_TOP)
    warn_of_losses([top], IMAGES)
    return CompetitionSpec(**spec, extras={**top.extras(expected=(*_NO_EFFECT, *LOST_AT_TOP, *IMAGES)), **groups})


# ---------------------------------------------------------------------- what people read
def _image(top: Fields, files: BundleFiles) -> str | None:
    node = top.get("image")
    if node is None:
        top.warn(
            "CB101",
            "there is no image: codabench.org needs a logo",
            Location(file=top.source.file),
            "add image: logo.png",
        )
        return None
    return files.logo(top, "image", node)


def _docker_image(top: Fields) -> str:
    if (other := top.node.key("docker_image")) and top.get("competition_docker_image") is None:
        top.warn("CB116", "docker_image has no effect in this format", other, "write competition_docker_image")
    return (top.text("competition_docker_image", most=128) or "").strip() or DEFAULT_IMAGE


def _pages(top: Fields, files: BundleFiles) -> tuple[tuple[PageSpec, ...], PageSpec]:
    """The pages in their order, and the terms, which stand among them."""
    html = top.mapping("html", required=True)
    pages: list[PageSpec] = []
    for title in html.node.entries if html else ():
        node = html.get(title) if html else None
        found = files.page(html, title, node, may_be_empty=True) if html and node is not None else None
        if html and node is None:
            html.error("CB101", f"the page '{title}' has no file", html.node.key(title), "name the file of its text")
        if html and found and _ASSETS in found[1]:
            message = f"the page '{title}' shows files of assets/, which CodaLab published at {{{{ {_ASSETS} }}}}"
            html.note("CB118", f"{message}; the placeholder stays in the text", node)
        if found:
            pages.append(PageSpec(title=title, file=found[0], content=found[1]))
    if html and html.node.get("terms") is None:
        hint = "add terms: terms.html, the terms of participation"
        html.error("CB101", "html has no terms", top.node.key("html"), hint)
    terms = next((page for page in pages if page.title == "terms"), PageSpec(title="terms", file="", content=""))
    return tuple(page for page in pages if page.title != "terms"), terms


# ---------------------------------------------------------------------- how submissions come onto the board
def _rule(top: Fields, phases: list[Fields]) -> SubmissionRule:
    """The submission rule that comes nearest to the flags, with a note of what it cannot say."""
    best = [phase for phase in phases if phase.flag("force_best_submission_to_leaderboard")]
    forced = top.flag("force_submission_to_leaderboard")
    fixed = top.flag("disallow_leaderboard_modifying")
    if best:
        key, fields, rule = "force_best_submission_to_leaderboard", best[0], SubmissionRule.FORCE_BEST
    elif forced:
        key, fields, rule = "force_submission_to_leaderboard", top, SubmissionRule.FORCE_LAST
    else:
        if fixed:
            message = "disallow_leaderboard_modifying is kept aside: participants choose their entry (rule Add)"
            top.note("CB118", message, top.node.key("disallow_leaderboard_modifying"))
        return SubmissionRule.ADD
    lost = [] if fixed else ["participants cannot change their entry themselves"]
    if best and len(best) < len(phases):
        lost.append(f"it holds in every phase, not only in {', '.join(p.what.removeprefix('phase ') for p in best)}")
    also = f": {'; '.join(lost)}" if lost else ""
    fields.note("CB216", f"{key} becomes the submission rule {rule.value}{also}", fields.node.key(key))
    return rule
