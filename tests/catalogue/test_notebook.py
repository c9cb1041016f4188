"""A runbook's Markdown as cells and steps."""

from __future__ import annotations

from pathlib import Path

from checks.catalogue import notebook
from checks.model import StepClass

TEXT = """---
title: Morning
---
# Morning

Intro.

## 1. First

```python
x = 1
```

More.
## 2. Second
```bash tags=["change"]
echo hi
```

<!-- #region tags=["manual"] -->
## 3. Call

Do it.
<!-- #endregion -->

## 4. Both

```python tags=["destructive"]
drop()
```

```python tags=["change"]
alter()
```

```text
## no heading
```
"""


def test_front_matter_is_no_cell() -> None:
    """What stands between the dashes is read by the catalogue and never executed or shown as a cell."""
    book = notebook.read_text(TEXT, Path("a.md"))
    assert book.cells[0].source.startswith("# Morning")


def test_bash_fences_become_bash_cells() -> None:
    """A bash fence is executed by bash."""
    sources = [cell.source for cell in notebook.read_text(TEXT, Path("a.md")).cells if cell.cell_type == "code"]
    assert "%%bash\necho hi" in sources


def test_each_section_is_a_step_with_the_gravest_class() -> None:
    """Each ## section is one step; a heading inside a fence is none; the gravest tag of its cells is its class."""
    steps = notebook.steps(notebook.read_text(TEXT, Path("a.md")))
    assert [(step.number, step.title, step.step_class) for step in steps] == [
        (0, "", StepClass.READ),
        (1, "1. First", StepClass.READ),
        (2, "2. Second", StepClass.CHANGE),
        (3, "3. Call", StepClass.MANUAL),
        (4, "4. Both", StepClass.DESTRUCTIVE),
    ]


def test_steps_cover_every_cell_once() -> None:
    """No cell is outside a step and none is in two."""
    book = notebook.read_text(TEXT, Path("a.md"))
    covered = [position for step in notebook.steps(book) for position in step.cells]
    assert covered == list(range(len(book.cells)))


def test_whoever_reads_may_change_what_it_gets() -> None:
    """A text is parsed once; a cell that one reader alters is as it was for the next."""
    notebook.read_text(TEXT, Path("a.md")).cells[1].source = "altered"
    notebook.read_text(TEXT, Path("a.md")).metadata.clear()
    again = notebook.read_text(TEXT, Path("a.md"))
    assert again.cells[1].source != "altered"
    assert again.metadata.kernelspec.name == "python3"
