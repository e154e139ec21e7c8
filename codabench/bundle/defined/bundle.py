"""A competition that is defined in Python, seen as the bundle that it would be."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from codabench.bundle.defined.data import made
from codabench.bundle.defined.export import Source
from codabench.bundle.defined.keys import check_returned
from codabench.bundle.defined.layout import Part, lay_out
from codabench.bundle.defined.models import CompetitionDefinition
from codabench.bundle.defined.programs import FunctionProgram, ProgramDirectory
from codabench.bundle.document import to_yaml
from codabench.bundle.load import NAME, Bundle, read_tree
from codabench.core.competition import CompetitionSpec, DataSpec
from codabench.core.errors import BundleError
from codabench.core.problems import Problem
from codabench.core.report import Report
from codabench.storage.sources import TreeSource


class DefinedBundle(Bundle):
    """A bundle that is written when somebody looks into it: for a container, a check or `pack`.

    Until then functions may use whatever is around them, because ``backend="inline"`` only calls them.

    Raises
    ------
    BundleError
        What it would say has errors; the report holds all of them.
    """

    def __init__(self, definition: CompetitionDefinition) -> None:
        self.definition = definition
        layout = lay_out(definition)
        self._parts, self._texts = layout.parts, layout.texts
        self.source = f"python:{definition.title[:60]}"
        # The reader of bundles decides what may be said; so what is run now is what is read back later.
        with self._read(layout.spec, exporting=False) as said:
            said.report.raise_for_errors()
            self.spec: CompetitionSpec = said.spec or layout.spec
        self.format = self.spec.format

    def __getattr__(self, name: str) -> Any:
        """`report` and `files` are those of the packed bundle; looking at them packs it."""
        if name == "report":
            return self._report()
        if name in ("files", "_files", "_opened"):
            return getattr(self.packed, name)
        raise AttributeError(name)

    @cached_property
    def packed(self) -> Bundle:
        """The bundle as it would be written.

        Raises
        ------
        BundleError
            A function cannot be exported, or something else is wrong; the report holds everything.
        """
        bundle = self._read(self.spec, exporting=True)
        bundle.report.raise_for_errors()
        if bundle.spec != self.spec:
            raise BundleError(f"{self.source} reads back otherwise than it was defined", code="CB160")
        told = (*bundle.report.problems, *self._returned())
        bundle.report = bundle.report.model_copy(update={"problems": tuple(dict.fromkeys(told))})
        return bundle

    def _returned(self) -> Iterator[Problem]:
        """What scoring functions do not return."""
        for part in self._parts.values():
            if isinstance(part, FunctionProgram) and part.kind == "scoring":
                yield from check_returned(Source(part.function), part.name, self.spec.written)

    def function(self, spec: DataSpec) -> FunctionProgram | None:
        """The function that a program was given as; None if it was given as a directory."""
        part = self._parts.get(spec.path or "")
        return part if isinstance(part, FunctionProgram) else None

    def tree(self, spec: DataSpec) -> TreeSource:
        part = self._parts.get(spec.path or "")
        # Data needs no function to be exported.
        return part if isinstance(part, TreeSource) else self.packed.tree(spec)

    def report_at(self, target: str) -> Report:
        """As `Bundle.report_at`, with what is wrong with functions."""
        report = self._report()
        if not report.ok:
            return report
        told = dict.fromkeys((*self.packed.report_at(target).problems, *self._returned()))
        return report.model_copy(update={"problems": tuple(told)})

    def close(self) -> None:
        if "packed" in self.__dict__:
            self.packed.close()

    def _report(self) -> Report:
        try:
            return self.packed.report
        except BundleError as error:
            report = error.report or Report(source=self.source)
            return report.model_copy(update={"source": self.source})

    def _read(self, spec: CompetitionSpec, *, exporting: bool) -> Bundle:
        folders: dict[str, TreeSource] = {}
        wrong: list[Problem] = []
        for folder, part in self._parts.items():
            try:
                folders[folder] = _files(part, exporting=exporting)
            except BundleError as error:
                wrong += error.report or ()
        if wrong:
            Report(source=self.source, problems=tuple(wrong)).raise_for_errors()
        text = to_yaml(spec, self._parts.__contains__).encode()
        return read_tree(self.source, made(self.source, {**self._texts, NAME: text}, folders), sound=exporting)


def _files(part: Part, *, exporting: bool) -> TreeSource:
    if isinstance(part, FunctionProgram):
        return part.tree() if exporting else made(part.name, part.metadata())
    return part.tree if isinstance(part, ProgramDirectory) else part
