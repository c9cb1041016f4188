"""What holds of each system of the sandbox alike."""

from __future__ import annotations

import pytest

from checks import sandbox
from checks.catalogue import Catalogue
from checks.catalogue.gaps import checked_in


@pytest.mark.parametrize("system", sandbox.SYSTEMS)
def test_every_metric_is_checked_by_a_step_that_is_run(catalogue: Catalogue, system: str) -> None:
    """No metric is declared that no runbook's read step would measure."""
    checked = {name for runbook in catalogue.runbooks_of(system) for name in checked_in(runbook)}
    assert set(catalogue.systems[system].metrics) <= checked
