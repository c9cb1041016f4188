"""What ``nox`` runs: plain ``nox`` is the definition of done."""

from __future__ import annotations

import os

import nox

# Sessions start many programs; where byte code is not kept, each compiles anew all that it imports, which triples its time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

nox.needs_version = ">=2024.4"
nox.options.sessions = ["lint", "types", "contracts", "tests", "site"]
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "uv|virtualenv"


def _install(session: nox.Session, *groups: str) -> None:
    """Install the project from its locked requirements; with ``-- --newest``, from what a resolver finds today."""
    if "--newest" in session.posargs:
        wanted = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), *groups) if groups else ()
        session.install("-e", ".[postgresql]", *wanted)
        return
    lock = "bench" if "bench" in groups else "dev" if groups else "run"
    session.install("--require-hashes", "--no-deps", "-r", f"requirements/{lock}.txt")
    session.install("--no-deps", "-e", ".")


def _rest(session: nox.Session) -> list[str]:
    return [argument for argument in session.posargs if argument != "--newest"]


@nox.session
def publish(session: nox.Session) -> None:
    """Start the sandbox, execute every runbook, publish the site; ``-- --serve`` then serves it."""
    _install(session)
    session.run("proofbook", "publish", "--environment", "sandbox", *_rest(session))


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; those that need a server or a browser that is not here skip, and say so."""
    session.env["UV_COMPILE_BYTECODE"] = "1"
    _install(session, "dev")
    session.run("pytest", "-n", "5", "--dist", "loadscope", "--no-loadscope-reorder", "--durations", "20", *_rest(session))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, and that the catalogue of this repository is valid."""
    _install(session, "dev")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("proofbook", "lint", silent=True)


@nox.session
def types(session: nox.Session) -> None:
    """Check that types are complete and true."""
    _install(session, "dev")
    session.run("mypy")


@nox.session
def contracts(session: nox.Session) -> None:
    """Check that imports go one way."""
    _install(session, "dev")
    session.run("lint-imports")


@nox.session
def site(session: nox.Session) -> None:
    """Build the site strictly, without running or measuring anything."""
    _install(session)
    session.run("mkdocs", "build", "--strict", "--quiet", "--site-dir", session.create_tmp(), env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against the named peers and print ratios."""
    _install(session, "dev", "bench")
    session.run("python", "-m", "tests.benchmarks", *_rest(session))


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Resolve the locked requirements anew, with hashes and without an index address."""
    session.install("uv")
    options = [
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-emit-index-url",
        "--no-header",
        "--quiet",
        "--upgrade",
    ]
    resolve = ["uv", "pip", "compile", "pyproject.toml", *options]
    session.run(*resolve, "-o", "requirements/run.txt")
    session.run(*resolve, "--extra", "postgresql", "--group", "dev", "-o", "requirements/dev.txt")
    session.run(*resolve, "--extra", "postgresql", "--group", "dev", "--group", "bench", "-o", "requirements/bench.txt")
