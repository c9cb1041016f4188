"""Files that a runbook declares: what it works with, what its run rests on, and what may not be declared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checks.errors import CatalogueErrors, DataError
from checks.journal import open_journal
from checks.model import Run, RunState, Status, Trigger
from checks.run import fresh
from checks.run.ends import Prepared
from checks.run.execution import prepare
from checks.run.many import run_many
from checks.run.replay import replay
from tests.run.project import Project, now

DECLARED = "files: [prices.csv, queries/orders.sql]\n"
BODY = """\
```bash
find . -type f | sort
cat prices.csv
echo changed > prices.csv
```

```python
from pathlib import Path
from checks import check
check("error-rate", float(Path("queries/orders.sql").read_text()))
```
"""


@pytest.fixture
def project(project: Project) -> Project:
    """A project with two files beside its runbook."""
    folder = project.root / "notebooks" / "shop"
    (folder / "queries").mkdir()
    (folder / "queries" / "orders.sql").write_text("0.5")
    (folder / "prices.csv").write_text("bread,3\n")
    (folder / "not-declared.csv").write_text("milk,2\n")
    return project


def _prepared(project: Project, slug: str) -> Prepared:
    catalogue = project.catalogue
    return prepare(
        catalogue.runbook(slug),
        catalogue,
        environment="test",
        variables=project.variables,
        parameters={},
        trigger=Trigger.COMMAND,
        now=now(),
    )


def _said(evidence: bytes) -> str:
    cells = json.loads(evidence)["cells"]
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", ()))


def test_a_run_has_its_files_and_nothing_else_and_rests_on_them(project: Project) -> None:
    """Its folder holds copies of what it declares; a change of one makes a run anew, and a replay has them as they were."""
    slug = project.write(BODY, front_matter=DECLARED)
    prices, orders = (project.root / "notebooks" / "shop" / name for name in ("prices.csv", "queries/orders.sql"))
    with open_journal(project.catalogue.settings.journal) as journal:
        (outcome,) = run_many([_prepared(project, slug)], journal, clock=now)
        assert outcome.run.status is Status.OK, outcome.run.reason
        assert outcome.evidence is not None
        assert _said(outcome.evidence) == "./prices.csv\n./queries/orders.sql\nbread,3\n"
        assert prices.read_text() == "bread,3\n"
        assert fresh.decide([_prepared(project, slug)], journal, now())[0].reused is not None
        orders.write_text("50")
        (decision,) = fresh.decide([_prepared(project, slug)], journal, now())
        assert (decision.reused, decision.because) == (None, "a file that it declares changed")
        recorded: Run | None = journal.run(outcome.run.id)
    assert recorded is not None
    again = replay(recorded, project.catalogue, project.variables, now)
    assert (again.now.run.status, again.differs) == (Status.OK, ())


def test_a_file_that_changes_while_a_run_is_made_ready_fails_it(project: Project) -> None:
    """What was decided on is what is executed: otherwise the run says so, and executes nothing."""
    slug = project.write(BODY, front_matter=DECLARED)
    prepared = _prepared(project, slug)
    (project.root / "notebooks" / "shop" / "prices.csv").write_text("bread,4\n")
    with open_journal(project.catalogue.settings.journal) as journal:
        (outcome,) = run_many([prepared], journal, clock=now)
    assert outcome.run.state is RunState.FAILED
    assert "prices.csv was changed after the run was made ready" in outcome.run.reason


@pytest.mark.parametrize("name", ["../system.yml", "/etc/passwd", "a/../b", ".hidden", "-rf", "''", "a//b"])
def test_what_is_not_beside_the_runbook_is_refused(project: Project, name: str) -> None:
    """A name that leads elsewhere is refused where it is declared, with its place."""
    project.write(BODY, front_matter=f"files: [{name}]\n")
    with pytest.raises(CatalogueErrors, match=r"morning\.md:6:\d+: `files\.0`: this names no file beside the runbook"):
        _ = project.catalogue


def test_a_file_that_is_not_there_is_told_each_time(project: Project) -> None:
    """The catalogue misses a file that is declared, also one that went after it was read."""
    project.write(BODY, front_matter=DECLARED)
    assert project.catalogue.runbooks
    (project.root / "notebooks" / "shop" / "prices.csv").unlink()
    with pytest.raises(CatalogueErrors, match=r"morning\.md:6: `files` names prices\.csv, which is not there"):
        _ = project.catalogue


def test_a_link_that_leads_out_is_refused(project: Project, tmp_path: Path) -> None:
    """A name that is a link to a stranger's file is not followed."""
    (tmp_path / "secret").write_text("hunter2")
    (project.root / "notebooks" / "shop" / "prices.csv").unlink()
    (project.root / "notebooks" / "shop" / "prices.csv").symlink_to(tmp_path / "secret")
    slug = project.write(BODY, front_matter=DECLARED)
    with pytest.raises(DataError, match="leads out of the runbook's folder"):
        _prepared(project, slug)
