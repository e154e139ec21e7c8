"""The notebooks run from the first cell to the last, and show what they say they show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def name(path: Path) -> str:
    return path.stem


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Environment of a kernel: this checkout, and no file of the user's."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    return monkeypatch


def execute(path: Path) -> list[Any]:
    """Outputs of every cell, in order; raises where a cell does."""
    notebook = read(path)
    place = {"metadata": {"path": str(path.parent)}}
    nbclient.NotebookClient(notebook, timeout=240, resources=place).execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def look(outputs: list[Any]) -> None:
    """What a reader sees: the tables, and nothing that went wrong."""
    assert [o for o in outputs if o.output_type == "error"] == []
    assert [o.text for o in outputs if o.output_type == "stream"] == [], "displays only, nothing printed or warned"
    pages = [o.data["text/html"] for o in outputs if "text/html" in o.get("data", {})]
    progress = [page for page in pages if 'class="cb-progress"' in page]
    assert len(progress) == 3, "one display for each call that runs something"
    assert [page.count("Finished") for page in progress] == [1, 2, 0], "each ends with its last state"
    assert "Failed" in progress[2]
    (board,) = (page for page in pages if 'class="cb-board"' in page)
    assert board.index(">good<") < board.index(">better<") < board.index(">baseline<")
    for kind in ("cb-competition", "cb-report", "cb-submission", "dataframe"):
        assert any(kind in page for page in pages), kind
    assert any("<iframe sandbox" in page for page in pages)
    assert max(len(page) for page in pages) < 20_000


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["01_first_competition"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_it_is_kept_without_outputs(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.language == "python"
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    assert "assert " in "".join(cell.source for cell in cells[-2:]), "the last cells say what must be true"


@pytest.mark.engine
@pytest.mark.docker
@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_it_runs_in_docker(path: Path, kernel: pytest.MonkeyPatch, docker_url: str) -> None:
    kernel.setenv("DOCKER_HOST", docker_url)
    kernel.setenv("CODABENCH_NOTEBOOK_BACKEND", "docker")
    look(execute(path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_it_runs_in_processes(path: Path, kernel: pytest.MonkeyPatch) -> None:
    kernel.setenv("CODABENCH_NOTEBOOK_BACKEND", "process")
    look(execute(path))
