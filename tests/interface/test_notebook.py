"""The example notebook runs as it is, in a kernel of its own, and shows what it is meant to.

Its outputs are kept in it: MVKT_KEEP_OUTPUTS=1 has this test write them anew.
"""

import os
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

NOTEBOOK = Path(__file__).with_name("a_study.ipynb")


def outputs(notebook: Any) -> list[Any]:
    return [each for cell in notebook.cells for each in cell.get("outputs", [])]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_example_runs_and_shows_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2])]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    options: dict[str, Any] = {"resources": {"metadata": {"path": str(tmp_path)}}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", **options).execute()
    if os.environ.get("MVKT_KEEP_OUTPUTS"):
        text = nbformat.writes(notebook).replace(f"{tmp_path}/", "")
        NOTEBOOK.write_text(f"{text}\n", encoding="utf-8")
    shown = outputs(notebook)
    pages = [each.data["text/html"] for each in shown if "text/html" in each.get("data", {})]
    views = [page for page in pages if "mvkt-study" in page]
    assert len(views) == 2
    assert "Not final" in views[0]
    assert "Not final" not in views[1]
    assert all("<svg" in view for view in views)
    tables = [page for page in pages if " trials</span>" in page]
    assert len(tables) == 2, "a live table is one output, drawn again in its place"
    assert any("image/png" in each.get("data", {}) for each in shown)
    assert (tmp_path / "runs" / "notebook" / "study" / "report" / "index.html").exists()


def test_it_is_shown_with_what_it_came_to() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert any("mvkt-study" in str(each) for each in outputs(notebook))
    assert "/runs/notebook" not in NOTEBOOK.read_text(encoding="utf-8"), "no path of a machine"
