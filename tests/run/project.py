"""A small project in a temporary folder, whose runbooks a test writes itself."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checks.catalogue import Catalogue, load
from checks.model import Trigger
from checks.run.ends import Outcome, Prepared
from checks.run.execution import execute, prepare
from checks.run.record import made_with

SYSTEM = """\
system: shop
title: Corner shop
summary: Sells bread on the corner.
environments:
  test:
    folder: "${SHOP_FOLDER}"
    token: "${secret:SHOP_TOKEN}"
  production: {}
metrics:
  error-rate:
    title: Error rate
    unit: "%"
    probe: {kind: notebook}
    warning: ">= 1 %"
    critical: "> 10 %"
  flour:
    title: Flour left
    unit: kg
    probe: {kind: command, argv: [cat, "{folder}/flour"], take: number}
    critical: "< 5 kg"
"""
FRONT_MATTER = "title: Morning check\nsystem: shop\nkind: check\nsummary: Before the shop opens.\n"
CHECK = '```python\nfrom checks import check\ncheck("error-rate", 0.4)\n```\n'


class Project:
    """A project with the system ``shop``; `write` gives it a runbook, `run` executes it for real."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.variables = {"SHOP_FOLDER": str(root / "shop")}
        (root / "shop").mkdir(parents=True)
        (root / "shop" / "flour").write_text("20\n")
        (root / "docs" / "systems" / "shop").mkdir(parents=True)
        (root / "notebooks" / "shop").mkdir(parents=True)
        (root / "mkdocs.yml").write_text("site_name: Shop\nplugins:\n  - proofbook: {environment: test}\n")
        self.describe(SYSTEM)

    def describe(self, system: str) -> None:
        """Replace the system's description."""
        (self.root / "docs" / "systems" / "shop" / "system.yml").write_text(system)

    def write(self, body: str, name: str = "morning", front_matter: str = "") -> str:
        """Write a runbook; its slug."""
        path = self.root / "notebooks" / "shop" / f"{name}.md"
        path.write_text(f"---\n{FRONT_MATTER}{front_matter}---\n# Morning check\n\n{body}", encoding="utf-8")
        return f"shop/{name}"

    @property
    def catalogue(self) -> Catalogue:
        """The project as it is on disk now."""
        return load(self.root)

    def prepared(self, *slugs: str, catalogue: Catalogue | None = None, **how: Any) -> list[Prepared]:
        """Runs of these runbooks that are yet to be executed."""
        catalogue = catalogue or self.catalogue
        usual = {"environment": "test", "variables": self.variables, "parameters": {}, "trigger": Trigger.COMMAND, "now": now()}
        return [prepare(catalogue.runbooks[slug], catalogue, **{**usual, **how}) for slug in slugs]

    def run(
        self,
        body: str,
        front_matter: str = "",
        parameters: Mapping[str, object] | None = None,
        cancelled: threading.Event | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> Outcome:
        """Write a runbook with this body and execute it, within limits."""
        slug = self.write(body, front_matter=front_matter)
        catalogue = self.catalogue
        catalogue = replace(catalogue, settings=replace(catalogue.settings, limits=limits or catalogue.settings.limits))
        (prepared,) = self.prepared(slug, catalogue=catalogue, parameters=parameters or {}, actor="the baker")
        prepared = replace(prepared, run=replace(prepared.run, made_with=made_with(prepared)))
        return execute(prepared, clock=now, cancelled=cancelled)


def now() -> datetime:
    """The time; the tests that use it measure real durations."""
    return datetime.now(UTC)


def notebook_of(outcome: Outcome) -> Any:
    """The evidence of an outcome as a notebook."""
    import nbformat

    assert outcome.evidence is not None
    return nbformat.reads(outcome.evidence.decode("utf-8"), as_version=4)
