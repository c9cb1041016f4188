"""A runbook's Markdown as cells and steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.catalogue import notebook
from checks.errors import DataError
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


@pytest.mark.parametrize(
    ("fence", "said"),
    [
        ('bash tags=["destructve"]', "the tag `destructve` is not known"),
        ('bash tags=["Change"]', "did you mean `change`?"),
        ('bash tags=["dangerous"]', "the tag `dangerous` is not known"),
        ("bash tags=change", "`tags=change` on a fence says nothing"),
        ("bash {tags: [change]}", "`{tags: [change]}` on a fence says nothing"),
        ('bash tag=["change"]', "`tag` on a fence says nothing"),
        ("python change", "`change` on a fence says nothing"),
        ("python .change", "`.change` on a fence says nothing"),
    ],
)
def test_a_slip_of_the_pen_does_not_make_a_step_harmless(fence: str, said: str) -> None:
    """What is not understood on a fence is refused with its line: taken for a step that only reads, a schedule would run it."""
    with pytest.raises(DataError) as refused:
        notebook.read_text(f"# A\n\n## 1. Drop\n\n```{fence}\ndrop\n```\n", Path("a.md"))
    assert said in str(refused.value)
    assert str(refused.value.where) == "a.md:5"


def test_a_region_with_an_unknown_tag_is_refused() -> None:
    """Prose that waits for a person is tagged as well."""
    with pytest.raises(DataError, match=r"a\.md:3: the tag `manuel` is not known"):
        notebook.read_text('# A\n\n<!-- #region tags=["manuel"] -->\n## Call\n<!-- #endregion -->\n', Path("a.md"))


def test_known_tags_and_ones_own_are_kept() -> None:
    """Jupyter's tags and those that begin with x- change no class."""
    book = notebook.read_text('## A\n\n```python tags=["x-night", "hide-input"] name="a"\npass\n```\n', Path("a.md"))
    assert [step.step_class for step in notebook.steps(book)] == [StepClass.READ]
