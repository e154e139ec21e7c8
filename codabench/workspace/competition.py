"""`Competition`: a spec, the files it names, and the workspace its runs go to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codabench.bundle.defined.bundle import DefinedBundle
from codabench.bundle.defined.models import CompetitionDefinition
from codabench.bundle.defined.programs import FunctionProgram
from codabench.bundle.load import Bundle
from codabench.core.competition import DataSpec, ProgramSpec, SolutionSpec
from codabench.core.errors import BundleError, SubmissionRejected, UsageError
from codabench.core.evaluations import Revision
from codabench.core.policy import Policy
from codabench.core.report import Report
from codabench.core.text import file_name
from codabench.leaderboard.combined import Ranking
from codabench.leaderboard.values import Aggregation
from codabench.storage.sources import TreeSource
from codabench.workspace import admission
from codabench.workspace.datasets import DataSet, datasets_of
from codabench.workspace.described import Described
from codabench.workspace.handles import SubmissionHandle
from codabench.workspace.leaderboard import Leaderboard
from codabench.workspace.named import Named
from codabench.workspace.planning import Submitted
from codabench.workspace.progress import Progress
from codabench.workspace.reopened import StoredBundle
from codabench.workspace.running import look_at, run_all
from codabench.workspace.settings import pull_policy, seconds, tailored
from codabench.workspace.workspace import Workspace

if TYPE_CHECKING:
    from codabench.workspace.packing import Packed


class Competition(Described):
    """A competition that can be checked, run and ranked: a bundle that `load` opened, or one defined in Python.

    Parameters
    ----------
    bundle
        From `load`; everything else is for a definition, and by keyword.
    title, description, terms
        Texts; `terms` and pages are Markdown.
    tasks, phases
        Lists of `Task` and `Phase`. Without phases there is one, always open, with all tasks.
    columns, primary, submission_rule
        The leaderboard: a list of `Column`, the key of the one that ranks first, and the rule.
    leaderboards
        Instead of these: ``[cb.Leaderboard(key="main", columns=[...])]``, or mappings with these keys.
    pages
        Title -> text.
    image
        The logo: a path or bytes; None: one is drawn.
    docker_image
        The image in which programs run.
    fact_sheet
        Key -> question, such as ``{"method": "Which method?"}``.
    solutions
        Sample submissions: paths, mappings of file names to values, or a `Solution` with a name and tasks.
    starting_kit
        Files for participants of every phase that has no kit of its own.

    The flags of a bundle, such as ``registration_auto_approve``, may be given, too.

    Attributes
    ----------
    id
        Of its source and what it says; a workspace keeps it under this id, whatever becomes of it there.
    bundle
        Where its files are read from.

    Raises
    ------
    UsageError
        ``CB320``: an argument is not known, missing or of a wrong type.
    BundleError
        The parts do not fit together; ``.report`` holds every problem.
    """

    def __init__(self, bundle: Bundle | None = None, /, **definition: Any) -> None:
        if bundle is None:
            bundle = DefinedBundle(CompetitionDefinition(**definition))
        if bundle.spec is None:
            bundle.report.raise_for_errors()
            raise BundleError(f"{bundle.source} has no usable competition.yaml", report=bundle.report)
        self.spec = bundle.spec
        self.source = file_name(bundle.source)
        self.bundle = bundle
        self._before: list[Bundle] = []
        self._workspace: Workspace | None = None
        self._private = False
        # What is defined in Python lies nowhere, and is the same wherever its notebook is run.
        place = bundle.source if isinstance(bundle, DefinedBundle) else os.path.abspath(bundle.source)
        identity = f"{place}\0{self.spec.model_dump_json()}"
        self.id = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:32]

    @property
    def datasets(self) -> Named[DataSet]:
        """Programs, data, kits and solutions, each once for each role; by place, or by path or key."""
        return Named.of(datasets_of(self), "data set", lambda d: d.path or str(d.key))

    def check(self, *, target: str = "local") -> Report:
        """Every problem of the bundle at once. Never raises for content.

        Parameters
        ----------
        target
            Where it is to run: ``local``, or ``codabench.org``, where more is refused or read otherwise.
        """
        return self.bundle.report_at(target)

    def tree(self, spec: DataSpec) -> TreeSource:
        """The files of a program or data set of this competition; they live as long as it does.

        Raises
        ------
        NotFound
            If `spec` names a data set of a server instead of a path (``CB304``).
        """
        return self.bundle.tree(spec)

    def function(self, spec: ProgramSpec) -> FunctionProgram | None:
        """The function that a program was defined by; None if it is a directory of files."""
        return self.bundle.function(spec) if isinstance(self.bundle, DefinedBundle) else None

    def called(self, spec: DataSpec) -> TreeSource:
        """What is kept of a program that is called and not started: the text of its function."""
        function = self.function(spec) if isinstance(spec, ProgramSpec) else None
        return function.described() if function else self.tree(spec)

    def save(
        self,
        dest: str | os.PathLike[str],
        *,
        task: int | str | None = None,
        keys: Mapping[str, str] | None = None,
    ) -> Report:
        """Write it as a version 2 bundle that codabench.org takes, with all its files; a task as a task archive.

        Equal competitions with equal files give equal bytes; what was read from version 2 reads back equal.

        Parameters
        ----------
        dest
            A path that ends in ``.zip``, or a directory. Nothing is overwritten.
        task
            By index or name: only this task, as a task archive.
        keys
            None: everything with its files. Otherwise programs and data by path -> UUID: they are written as these
            keys, without their files, and so is what was read by key; ``{}`` for that alone.

        Returns
        -------
        Report
            Every step in which something is lost or changed; empty if there was none.

        Raises
        ------
        UsageError
            Something is at `dest` already, or it lies inside this bundle; `keys` names what is not there.
        NotFound
            No such task.
        BundleError
            What would be written has errors; ``.report`` holds them, and nothing is written. Or a file of the bundle
            cannot be read.
        StorageError
            `dest` cannot be written.
        """
        from codabench.bundle.writer import save_bundle

        only = None if task is None else admission.pick(self.tasks, task, "task", lambda t: t.index, lambda t: t.name)
        return save_bundle(self.bundle, dest, task=only, keys=keys)

    def pack(
        self, dest: str | os.PathLike[str], *, verify: Any = None, submission: Any = None, **options: Any
    ) -> Packed:
        """Write a competition that is defined in Python as a bundle, whose programs do not need this library.

        What is written is read back and compared. Its functions become programs: their source, and the imports they
        use. Equal definitions give equal bytes.

        Parameters
        ----------
        dest
            A path that ends in ``.zip``, or a directory. Nothing is overwritten.
        verify
            A backend, such as ``"docker"``: the submission is run there from the written bundle and, where every
            program is a function, in this process, and scores must agree to 1e-9.
        submission
            What to verify with; it also becomes the starting kit of phases that have none. None: the first solution.
        **options
            Of the run, such as ``image`` and ``pull``; see `run_many`.

        Raises
        ------
        BundleError
            ``CB321`` to ``CB323``: a function cannot be exported. ``CB325``: scores differ, or the submission failed.
            Nothing was written then.
        UsageError
            It was not defined in Python, or something is at `dest` already.
        """
        from codabench.workspace.packing import pack

        return pack(self.bundle, dest, verify=verify, submission=submission, **options)

    # ------------------------------------------------------------------ changing what a workspace keeps
    def revise(self, task: int | str, *, note: str, **parts: Any) -> Revision:
        """Give a task other programs or data from now on; see `Workspace.revise`."""
        return self.workspace.revise(self, task, note=note, **parts)

    def revisions(self, task: int | str | None = None) -> list[Revision]:
        """Every revision of its tasks, or of one, oldest first; see `Workspace.revisions`."""
        return self.workspace.revisions(self, task)

    def update(self, bundle: Competition | str | os.PathLike[str], *, note: str = "") -> list[Revision]:
        """Be what an edited bundle says, with the same submissions; see `Workspace.update`."""
        return self.workspace.update(self, bundle, note=note)

    def delete(self, *, cancel: bool = False) -> None:
        """Have its workspace list it no more; see `Workspace.delete_competition`."""
        self.workspace.delete_competition(self, cancel=cancel)

    # ------------------------------------------------------------------ running
    @property
    def workspace(self) -> Workspace:
        """Where runs go: a private throw-away one until `Workspace.add`."""
        if self._workspace is None:
            self._workspace, self._private = Workspace(), True
        return self._workspace

    def _use(self, workspace: Workspace) -> None:
        self._workspace, self._private = workspace, False

    def _reopen(self, id: str, bundle: StoredBundle) -> None:
        """Be what a workspace keeps. Trees that were given out stay readable."""
        self._before.append(self.bundle)
        self.id, self.bundle, self.spec, self.source = id, bundle, bundle.spec, bundle.source

    def run(self, submission: Submitted, **options: Any) -> SubmissionHandle:
        """Run a submission on every task of a phase and wait for it.

        Parameters
        ----------
        submission
            A zip, a directory, or any fsspec URL of one; a solution, ``comp.solutions[0]``: a sample submission of the
            organizer; a mapping of file names to values (``{"pred.npy": array}``); an object, such as a model, if
            `backend` is ``"inline"``.
        **options
            See `run_many`.

        Returns
        -------
        SubmissionHandle
            Also where the submission failed: that is a result.

        Raises
        ------
        EngineError, StorageError
            If the machine failed.
        SubmissionRejected, NotFound, BundleError
            If it could not be admitted.
        """
        return self.run_many([submission], **options)[0].raise_for_machine()

    def run_many(
        self,
        submissions: Iterable[Submitted],
        *,
        phase: int | str | None = None,
        task: int | str | Sequence[int | str] | None = None,
        backend: Any = None,
        policy: str | Policy = "standard",
        network: str | None = None,
        image: str | None = None,
        pull: str = "missing",
        platform: str | None = None,
        memory: int | str | None = None,
        cpus: float | None = None,
        gpus: int | str | None = None,
        allow: Iterable[str] | None = None,
        local_data: Mapping[str, str | os.PathLike[str]] | Iterable[str] | None = None,
        timeout: float | str | None = None,
        participant: str | None = None,
        name: str | None = None,
        fact_sheet: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        keep: bool = False,
        enforce: bool = False,
        jobs: int | None = None,
        on_rejected: Callable[[int, SubmissionRejected], None] | None = None,
        progress: str | Progress = "auto",
        wait: bool = True,
    ) -> list[SubmissionHandle]:
        """Run submissions, several at a time, and wait for all of them.

        Parameters
        ----------
        phase, task
            By index or name; without a phase: the one open now, else the last that began, else the first. A solution
            goes to the tasks it is for.
        backend
            ``"auto"`` (the first engine that answers), ``"docker"``, ``"podman"``, ``"process"``, an engine, a Backend;
            ``"inline"``: call the functions of a competition defined in Python, here; None: that of the workspace.
        policy
            ``"standard"``, ``"strict"``, ``"trusted"`` or a `Policy`; `network`, `memory`, `cpus`, `gpus` change it.
        network
            ``"none"``, ``"proxy"`` or ``"open"``.
        allow
            Hosts that programs may reach through a proxy, and no others; ``network="proxy"`` with a list.
        pull
            ``"missing"``: an image that is here needs no network; ``"always"``: the registry is asked first;
            ``"never"``. Both steps of a run have the same image, also where its tag moves.
        memory
            Bytes, or ``"4 GiB"``.
        local_data
            Directories of this host that programs find below ``/app/data``, read-only: name -> path, or names that
            the workspace or backend offers already.
        timeout
            Seconds for each step (or ``"20 min"``) instead of the phase's limit.
        name
            What the submissions are called; None: as their files are.
        params
            What tells them from others, such as ``{"C": 10}``: columns of the leaderboard's frame.
        enforce
            Whether dates, counts and the fact sheet of the phase hold; a local run ignores them.
        jobs
            Runs at the same time; None: as many as there are cores.
        on_rejected
            Called with the place of a submission that is not admitted, and why; the others go on. None: raise, and
            cancel the others.
        progress
            ``"auto"``, ``"rich"``, ``"plain"``, ``"follow"``, ``"none"``.
        wait
            False: return as soon as they are queued.

        Returns
        -------
        list of SubmissionHandle
            In the order of `submissions`, failures included.
        """
        if isinstance(submissions, (str, bytes, os.PathLike, Mapping, SolutionSpec)):
            raise UsageError("run_many takes a list of submissions; run takes one", code="CB353")
        workspace, submissions = self.workspace, list(submissions)
        look_at(self, submissions)
        place = workspace.place_for(backend, image, jobs)
        if isinstance(local_data, Mapping):
            workspace.local_data.offer(local_data)
        chosen = tailored(
            policy, network=network, memory=memory, cpus=cpus, gpus=gpus, local_data=local_data, allow=allow
        )
        options = {
            "phase": phase,
            "task": task,
            "participant": participant,
            "name": name,
            "fact_sheet": fact_sheet,
            "params": params,
            "backend": backend if place is None else place,
            "policy": chosen,
            "image": image,
            "pull": pull_policy(pull),
            "platform": platform,
            "time_limit": seconds(timeout),
            "keep": keep,
            "enforce": enforce,
        }
        return run_all(self, submissions, options, on_rejected=on_rejected, progress=progress, wait=wait)

    def plan(self, submission: Submitted, **options: Any) -> list[dict[str, Any]]:
        """What `run` would do, for each task: programs, commands, mounts, limits. Nothing is started."""
        from codabench.workspace.trial import describe_runs

        return describe_runs(self, submission, **options)

    # ------------------------------------------------------------------ results
    def submissions(self, phase: int | str | None = None) -> list[SubmissionHandle]:
        """What has been submitted to it, oldest first."""
        return self.workspace.submissions(self, phase)

    def leaderboard(
        self,
        name: int | str | None = None,
        *,
        phase: int | str | None = None,
        rule: bool | None = None,
        aggregation: Aggregation = "mean",
        ranking: Ranking | None = None,
        participants: Mapping[str, str] | None = None,
        page: int | None = None,
        size: int = 50,
    ) -> Leaderboard:
        """The leaderboard of a phase.

        Parameters
        ----------
        name
            Key or place of the leaderboard; None: the first.
        phase
            By index or name; None: the phase of the last submission.
        rule
            Whether the submission rule of the bundle chooses what is listed, or every finished submission is. None: in
            a workspace it does, in a private one not.
        aggregation
            How several tasks become one value of a column: ``"mean"``, ``"first"``, ``"sum"``; or ``"average_rank"``:
            ranked by the mean of the places in each task.
        ranking
            A function of a `Row` (``row.scores``, ``row.per_task``) that gives the number to rank by, the larger the
            better.
        participants
            What participants are called on the board: an organization, a display name.
        page, size
            Only that page, counted from 1, of so many rows.

        Raises
        ------
        NotFound
            No such leaderboard or phase.
        UsageError
            ``CB350``: no such page. ``CB376``: `ranking` gives something else than a number.
        """
        return self.workspace.leaderboard(
            self,
            name=name,
            phase=phase,
            rule=rule,
            aggregation=aggregation,
            ranking=ranking,
            participants=participants,
            page=page,
            size=size,
        )

    def save_results(self, dest: str | os.PathLike[str], *, phase: int | str | None = None, **options: Any) -> Path:
        """Write leaderboards as servers give them to organizers: every column of every task, hidden ones included.

        Parameters
        ----------
        dest
            Ends in ``.json`` (board, row, values), ``.csv`` (a table of one phase) or ``.zip`` (a table for each phase
            that has rows). Nothing is overwritten.
        phase
            Only this one.
        **options
            As for `leaderboard`, such as ``rule``.

        Raises
        ------
        UsageError
            ``CB350``: another ending, or several phases for one table. ``CB706``: something is there already.
        StorageError
            It cannot be written.
        """
        from codabench.workspace.outcomes import write_results

        return write_results(self, Path(dest), phase=phase, **options)

    def holdouts(self) -> dict[str, int]:
        """For each task, how many submissions were scored on its reference data: the more, the luckier the best."""
        counted = self.workspace.db.holdouts(self.id)
        return {task.name: counted.get(task.index, 0) for task in self.spec.tasks}

    @property
    def is_private(self) -> bool:
        """Whether its runs go to a workspace of its own that nobody keeps."""
        return self._workspace is None or self._private

    # ------------------------------------------------------------------ the end
    def close(self) -> None:
        """Let go of the private workspace and of the bundle's files."""
        if self._workspace is not None and self._private:
            self._workspace.close()
            self._workspace = None
        for bundle in (self.bundle, *self._before):
            bundle.close()

    def __enter__(self) -> Competition:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
