"""A runbook opened in JupyterLab: the paired notebook, its checks, and what of it reaches the Markdown."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupytext.cli import jupytext
from nbclient import NotebookClient

from checks.catalogue import load
from checks.run.payload import MIME
from tests.run.project import Project

REPOSITORY = Path(__file__).parents[2]
CELLS = """\
```python
from checks import check, settings
check("flour")
```

```bash
cat "$FOLDER/flour"
```

```python
print(settings["folder"])
check("error-rate", 12)
```
"""
BLOCK = """\
jupyter:
  kernelspec:
    display_name: Python 3 (ipykernel)
    language: python
    name: python3
"""


@pytest.fixture
def project(project: Project) -> Project:
    """The project with the pairing that `proofbook new site` lays out."""
    shutil.copy(REPOSITORY / "notebooks" / "jupytext.toml", project.root / "notebooks")
    return project


def _sync(*paths: Path) -> None:
    assert jupytext(["--quiet", "--sync", *map(str, paths)]) == 0


def _opened(project: Project, slug: str, monkeypatch: pytest.MonkeyPatch, **variables: str) -> Any:
    """The paired notebook, run cell by cell in a plain kernel as JupyterLab does, and saved with its outputs."""
    path = project.root / "notebooks" / f"{slug}.ipynb"
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}, timeout=60).execute()
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook.metadata.language_info = {"name": "python", "file_extension": ".py"}
    nbformat.write(notebook, path)
    later = time.time() + 5
    os.utime(path, (later, later))
    return notebook


def _results(notebook: Any) -> list[dict[str, Any]]:
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.data for output in outputs if MIME in output.get("data", {})]


def test_the_same_checks_and_a_badge(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells run by hand measure and judge as a run does and show a badge; bash finds the settings; no journal is written."""
    slug = project.write(CELLS)
    markdown = project.root / "notebooks" / f"{slug}.md"
    before = markdown.read_text()
    _sync(markdown)
    notebook = _opened(project, slug, monkeypatch, PROOFBOOK_ENVIRONMENT="test", **project.variables)
    flour, errors = _results(notebook)
    assert (flour[MIME]["status"], flour[MIME]["observation"]["value"]) == ("ok", 20.0)
    assert errors[MIME]["status"] == "critical"
    assert '<div class="proofbook-result" data-status="critical"><span style="background: #b3261e' in errors["text/html"]
    assert "12 % breaks &gt; 10 %" in errors["text/html"]
    printed = [output.text for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs if "text" in output]
    assert printed == ["20\n", f"{project.variables['SHOP_FOLDER']}\n"]
    assert not (project.root / ".proofbook").exists()
    for path in (markdown.with_suffix(".ipynb"), markdown):
        _sync(path)
        # Saving from JupyterLab notes the kernel; nothing else of the notebook enters the runbook.
        assert markdown.read_text().replace(BLOCK, "", 1) == before
    assert _results(nbformat.read(markdown.with_suffix(".ipynb"), as_version=4))


def test_the_environment_is_the_one_that_a_variable_names(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another environment the same cells judge by its settings; a missing one is unknown and named."""
    slug = project.write('```python\nfrom checks import check\ncheck("flour")\n```\n')
    _sync(project.root / "notebooks" / f"{slug}.md")
    notebook = _opened(project, slug, monkeypatch, PROOFBOOK_ENVIRONMENT="production")
    (flour,) = _results(notebook)
    assert flour[MIME]["status"] == "unknown"
    assert "environment production has no setting folder" in flour["text/plain"]


def test_an_edited_limit_counts_at_the_next_check(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever changes system.yml beside an open notebook needs no new kernel."""
    slug = project.write(
        '```python\nfrom checks import check\ncheck("flour")\n```\n\n```python\n%s\n```\n\n```python\ncheck("flour")\n```\n'
    )
    path = project.root / "notebooks" / f"{slug}.md"
    system = project.root / "docs" / "systems" / "shop" / "system.yml"
    edit = f"from pathlib import Path\np = Path({str(system)!r})\n_ = p.write_text(p.read_text().replace('< 5 kg', '< 25 kg'))"
    path.write_text(path.read_text().replace("%s", edit))
    _sync(path)
    notebook = _opened(project, slug, monkeypatch, PROOFBOOK_ENVIRONMENT="test", **project.variables)
    assert [one[MIME]["status"] for one in _results(notebook)] == ["ok", "critical"]


def test_a_notebook_of_bash_says_that_it_is_pythons(project: Project) -> None:
    """Where most fences are bash, the kernel in the front matter keeps the pair Python's; the catalogue leaves it alone."""
    slug = project.write("```python\nprint(1)\n```\n\n```bash\necho 2\n```\n\n```bash\necho 3\n```\n", front_matter=BLOCK)
    path = project.root / "notebooks" / f"{slug}.md"
    before = path.read_bytes()
    for _ in range(2):
        _sync(path)
    cells = [cell.source for cell in nbformat.read(path.with_suffix(".ipynb"), as_version=4).cells if cell.cell_type == "code"]
    assert cells == ["print(1)", "%%bash\necho 2", "%%bash\necho 3"]
    assert path.read_bytes() == before
    assert load(project.root).runbook(slug).title == "Morning check"


def test_every_runbook_of_this_repository_can_be_paired(tmp_path: Path) -> None:
    """Two syncs of all of them change no byte, and each becomes a Python notebook with the steps' tags."""
    copied = shutil.copytree(REPOSITORY / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns("*.ipynb", ".*"))
    books = sorted(copied.glob("*/*.md"))
    before = [book.read_bytes() for book in books]
    _sync(*books)
    pairs = [book.with_suffix(".ipynb") for book in books]
    _sync(*pairs)
    assert [book.read_bytes() for book in books] == before
    for pair in pairs:
        told = json.loads(pair.read_text())
        assert told["metadata"]["jupytext"].get("main_language", "python") == "python", pair.name
        assert not any("".join(cell["source"]).startswith("%%python") for cell in told["cells"]), pair.name
