"""The catalogue's JSON Schemas, for editors (``# yaml-language-server: $schema=…``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from checks.catalogue._schema import FrontMatter, IncidentFrontMatter, SystemFile

_MODELS: dict[str, type[BaseModel]] = {
    "system.schema.json": SystemFile,
    "runbook.schema.json": FrontMatter,
    "incident.schema.json": IncidentFrontMatter,
}


def schemas() -> dict[str, dict[str, Any]]:
    """The schemas by file name (JSON Schema 2020-12)."""
    return {
        name: {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(by_alias=True)}
        for name, model in _MODELS.items()
    }


def write(folder: Path) -> list[Path]:
    """Write the schemas to a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, schema in schemas().items():
        path = folder / name
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        paths.append(path)
    return paths
