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


def pages_of(outputs: list[Any]) -> list[str]:
    """What a reader sees, if nothing went wrong."""
    assert [o for o in outputs if o.output_type == "error"] == []
    assert [o.text for o in outputs if o.output_type == "stream"] == [], "displays only, nothing printed or warned"
    return [o.data["text/html"] for o in outputs if "text/html" in o.get("data", {})]


def look(outputs: list[Any]) -> None:
    """The tables of the first notebook."""
    pages = pages_of(outputs)
    progress = [page for page in pages if 'cb-progress"' in page]
    assert len(progress) == 3, "one display for each call that runs something"
    assert [page.count("Finished") for page in progress] == [1, 2, 0], "each ends with its last state"
    assert "Failed" in progress[2]
    (board,) = (page for page in pages if 'cb-board"' in page)
    assert board.index(">good<") < board.index(">better<") < board.index(">baseline<")
    for kind in ("cb-competition", "cb-report", "cb-submission", "dataframe"):
        assert any(kind in page for page in pages), kind
    assert any("<iframe sandbox" in page for page in pages)
    assert max(len(page) for page in pages) < 20_000


def test_there_are_notebooks() -> None:
    listed = ["01_first_competition", "02_leaderboards", "03_own_benchmark", "04_reevaluation", "05_cluster"]
    assert [path.stem for path in NOTEBOOKS] == listed


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
def test_it_runs_in_docker(kernel: pytest.MonkeyPatch, docker_url: str) -> None:
    kernel.setenv("DOCKER_HOST", docker_url)
    kernel.setenv("CODABENCH_NOTEBOOK_BACKEND", "docker")
    look(execute(NOTEBOOKS[0]))


def test_it_runs_in_processes(kernel: pytest.MonkeyPatch) -> None:
    kernel.setenv("CODABENCH_NOTEBOOK_BACKEND", "process")
    look(execute(NOTEBOOKS[0]))


def drawings_of(outputs: list[Any]) -> list[str]:
    """The plots: texts and marks, and nothing that runs."""
    found = [o.data["image/svg+xml"] for o in outputs if "image/svg+xml" in o.get("data", {})]
    assert all(svg.startswith("<svg") and "<script" not in svg for svg in found)
    assert all(svg.count("<path") > 5 and svg.count("<text") > 5 for svg in found), "none is empty"
    return found


def test_a_benchmark_of_ones_own_runs(kernel: pytest.MonkeyPatch) -> None:
    kernel.setenv("CODABENCH_NOTEBOOK_BACKEND", "process")
    outputs = execute(NOTEBOOKS[2])
    pages = pages_of(outputs)
    assert len(drawings_of(outputs)) == 1
    (board,) = (page for page in pages if 'cb-board"' in page)
    assert board.index(">5 neighbours") < board.index(">151 neighbours")
    assert board.count("not isolated") == 4, "three rows, and what it means"
    assert sum('cb-statistics"' in page for page in pages) == 1
    (bad,) = (page for page in pages if "the ingestion program exited with 1" in page)
    assert "TypeError" in bad
    assert sum('cb-progress"' in page for page in pages) == 1, "what is packed is proved quietly"


def test_leaderboards_are_explained(kernel: pytest.MonkeyPatch) -> None:
    outputs = execute(NOTEBOOKS[1])
    pages = pages_of(outputs)
    board, diff, history = drawings_of(outputs)
    assert board.count('aria-roledescription="rule mark"') == 8, "an interval for each submission"
    assert "after" in diff
    assert "participant" in history
    for kind, count in {"board": 2, "statistics": 2, "diff": 1, "competition": 1}.items():
        assert sum(f'cb-{kind}"' in page for page in pages) == count, kind
    assert sum("dataframe" in page for page in pages) == 2
    assert max(len(page) for page in pages) < 20_000
    said = [o.data["text/plain"] for o in outputs if "text/html" not in o.get("data", {}) and "data" in o]
    assert any("more than chance would do" in text for text in said)
    assert any("because" in text for text in said)


def test_a_reevaluation_runs(kernel: pytest.MonkeyPatch) -> None:
    kernel.setenv("CODABENCH_NOTEBOOK_BACKEND", "process")
    (path,) = (path for path in NOTEBOOKS if path.stem == "04_reevaluation")
    pages = pages_of(execute(path))
    plan, last = (page for page in pages if 'class="cb-reevaluation"' in page)
    assert "score only  12   scoring program r1 → r2" in plan
    assert "up to date  12" in last
    shown = [page for page in pages if 'class="cb-progress"' in page]
    assert "12/12  ok 12" in shown[-1]
    assert any("12 rescored" in page for page in pages)


def test_a_cluster_loses_a_worker_and_no_run(kernel: pytest.MonkeyPatch) -> None:
    kernel.setenv("CODABENCH_NOTEBOOK_BACKEND", "process")
    (path,) = (path for path in NOTEBOOKS if path.stem == "05_cluster")
    outputs = execute(path)
    pages = pages_of(outputs)
    (look,) = (page for page in pages if "cb-preflight" in page)
    assert look.count("tls://127.0.0.1:") == 2
    assert look.count("what it writes is seen here") == 2
    boards = [page for page in pages if 'cb-board"' in page]
    assert boards[0].index(">finn<") < boards[0].index(">eve<") < boards[0].index(">ada<")
    assert boards[1].index(">ada<") < boards[1].index(">finn<")
    said = [o.data["text/plain"] for o in outputs if "text/html" not in o.get("data", {}) and "data" in o]
    assert any("AttemptLost worker gone" in text for text in said)
