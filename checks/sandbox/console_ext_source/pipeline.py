"""What CI does for one commit: run the tests and the examples, measure the code, and scan what it depends on.

    python3 tools/pipeline.py --packages URL [--scan-only]

Run it in the work tree of the commit. Prints one JSON object. Needs nothing but Python's standard library.
"""

from __future__ import annotations

import argparse
import ast
import doctest
import io
import json
import sys
import unittest
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

_BRANCHES = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.With, ast.BoolOp, ast.IfExp, ast.comprehension)


def test() -> dict[str, int]:
    """How many tests ran, and how many of them failed or broke off."""
    suite = unittest.defaultTestLoader.discover("tests", top_level_dir=".")
    result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
    return {"ran": result.testsRun, "failed": len(result.failures) + len(result.errors)}


def examples() -> dict[str, int]:
    """How many lines of the documentation's examples were tried, and how many no longer hold."""
    failed, ran = doctest.testfile(str(Path("docs/examples.md").resolve()), module_relative=False, report=False, verbose=False)
    return {"ran": ran, "failed": failed}


def complexity() -> dict[str, object]:
    """The function with the most ways through it, and their number."""
    worst, where = 0, ""
    for path in sorted(Path("console_ext").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                ways = 1 + sum(isinstance(inner, _BRANCHES) for inner in ast.walk(node))
                if ways > worst:
                    worst, where = ways, f"{path}:{node.name}"
    return {"worst": worst, "where": where}


def scan(packages: str) -> dict[str, object]:
    """What is known of each pinned package: advisories that its version is open to, and newer releases."""
    pins = [
        line.strip().split("==") for line in Path("requirements.txt").read_text(encoding="utf-8").splitlines() if line.strip()
    ]
    unknown, exposed, behind = [], [], []
    for name, version in pins:
        try:
            with urllib.request.urlopen(f"{packages}/packages/{name}", timeout=10) as answer:
                known = json.load(answer)
        except (OSError, ValueError):
            unknown.append(name)
            continue
        exposed += [{"package": name, **one} for one in known["advisories"] if _number(version) < _number(one["mended_in"])]
        newer = [one for one in known["releases"] if _number(one["version"]) > _number(version)]
        behind += [{"package": name, "pinned": version, **newer[0]}] if newer else []
    return {"packages": len(pins), "unknown": unknown, "exposed": exposed, "behind": behind}


def _number(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def main() -> int:
    """Do it and print it; what was found does not change the exit status, which is 0 where it could be looked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--packages", required=True)
    parser.add_argument("--scan-only", action="store_true")
    asked = parser.parse_args()
    told: dict[str, object] = {"at": datetime.now(UTC).isoformat(), "scan": scan(asked.packages)}
    if not asked.scan_only:
        sys.path.insert(0, ".")
        out, sys.stdout = sys.stdout, io.StringIO()
        told.update(tests=test(), examples=examples(), complexity=complexity())
        sys.stdout = out
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
