"""The licences of installed packages, read from their metadata, against those that are allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from importlib.metadata import Distribution, distributions
from pathlib import Path

_TOKEN = re.compile(r"\(|\)|[^\s()]+")
_CLASSIFIER = "License :: "
_LONGEST = 100
_DEEPEST = 50


def outside(folders: Iterable[Path], allowed: Set[str], ignored: Set[str]) -> tuple[int, dict[str, str], list[str]]:
    """Compare each package's licence with those allowed.

    Args:
        folders: where packages are installed.
        allowed: licences, in lower case.
        ignored: names of packages that are left out, normalised.

    Returns:
        How many packages there are, those outside with their licence, and those that name none.

    """
    count, bad, silent = 0, dict[str, str](), list[str]()
    for package in distributions(path=[str(folder) for folder in folders]):
        name = str(package.metadata["Name"] or "")
        if not name or normalised(name) in ignored:
            continue
        count += 1
        licences = _licences(package)
        if not licences:
            silent.append(name)
        elif not all(permits(licence, allowed) for licence in licences):
            bad[name] = " and ".join(licences)
    return count, bad, silent


def permits(licence: str, allowed: Set[str]) -> bool:
    """Whether a licence, or an SPDX expression of several, is allowed: of OR one must be, of AND each.

    Args:
        licence: an SPDX expression (https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/), or any words.
        allowed: licences, in lower case.

    """
    if licence.lower() in allowed:
        return True
    tokens = _TOKEN.findall(licence)[::-1]
    try:
        value = _either(tokens, allowed, 0)
    except (IndexError, ValueError):
        return False
    return value and not tokens


def normalised(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _licences(package: Distribution) -> list[str]:
    if expression := package.metadata["License-Expression"]:
        return [str(expression).strip()]
    classifiers = [str(one) for one in package.metadata.get_all("Classifier") or [] if str(one).startswith(_CLASSIFIER)]
    # "License :: OSI Approved" alone names none.
    named = [one.rpartition(" :: ")[2] for one in classifiers if not one.endswith("OSI Approved")]
    if named:
        return named
    words = str(package.metadata["License"] or "").strip()
    return [words] if words and words.upper() != "UNKNOWN" and "\n" not in words and len(words) <= _LONGEST else []


def _either(tokens: list[str], allowed: Set[str], depth: int) -> bool:
    value = _both(tokens, allowed, depth)
    while tokens and tokens[-1].upper() == "OR":
        tokens.pop()
        value = _both(tokens, allowed, depth) or value
    return value


def _both(tokens: list[str], allowed: Set[str], depth: int) -> bool:
    value = _one(tokens, allowed, depth)
    while tokens and tokens[-1].upper() == "AND":
        tokens.pop()
        value = _one(tokens, allowed, depth) and value
    return value


def _one(tokens: list[str], allowed: Set[str], depth: int) -> bool:
    word = tokens.pop()
    if word == "(" and depth < _DEEPEST:
        value = _either(tokens, allowed, depth + 1)
        if tokens.pop() != ")":
            raise ValueError
        return value
    if word in "()" or word.upper() in ("OR", "AND", "WITH"):
        raise ValueError
    if tokens and tokens[-1].upper() == "WITH":
        # An exception only permits more.
        tokens.pop()
        tokens.pop()
    return word.lower() in allowed
