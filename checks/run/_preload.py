"""What the fork server loads once for all kernels: an allow-list, because a library that starts a thread must not be forked."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# What a kernel of `run` loads before its first cell and a check loads in it. None of them starts a thread.
PRELOADED = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "ipykernel.datapub",
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.magics",
    "IPython.core.oinspect",
    "IPython.core.ultratb",
    "IPython.extensions.storemagic",
    "IPython.utils.wildcard",
    "argcomplete",
    "argcomplete.completers",
    "pdb",
    "profile",
    "cProfile",
    "tornado.locks",
    "tornado.platform.asyncio",
    "tornado.queues",
    "traitlets.config.argcomplete_config",
    "xml.parsers.expat",
    "checks.judge.judgement",
    "checks.catalogue.environment",
    "checks.run.context",
    "checks.run.notebook",
    "checks.run.payload",
    "checks.run.shell_command",
    "checks.run.strict",
)
# Loaded where a runbook needs it; what stands behind each name is what its first use would load.
GROUPS: Mapping[str, Sequence[str]] = {
    # By what a cell imports.
    "checks": ("checks.catalogue.probe_kinds", "checks.judge.history", "checks.probes", "checks.run.history", "pydantic"),
    "httpx": ("httpx",),
    "psutil": ("psutil",),
    "numpy": ("numpy",),
    "pandas": ("pandas",),
    # Nothing of matplotlib_inline: it sets up the shell that it finds when it is loaded.
    "matplotlib": (
        "matplotlib.pyplot",
        "matplotlib.font_manager",
        "matplotlib.backends.backend_agg",
        "matplotlib.animation",
        "matplotlib.mlab",
        "IPython.core.pylabtools",
    ),
    # By how a metric is measured; these are what runbooks use most.
    "command": ("checks.probes.command",),
    "file": ("checks.probes.file",),
    "host": ("checks.probes.host", "psutil"),
    "http": ("checks.probes.http", "http.client", "httpx", "jmespath"),
    "log": ("checks.probes.log",),
    "sql": ("checks.probes.sql",),
}
_INLINE = "module://matplotlib_inline.backend_inline"


def preload(names: Iterable[str]) -> None:
    """Load modules; one that is not installed is left to the cell that asks for it."""
    # The libraries of numerics start a thread for each processor unless they are told not to; matplotlib decides when it
    # is loaded what it draws with, and a kernel names it only later.
    told = {**dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"), "MPLBACKEND": _INLINE}
    told = {name: value for name, value in told.items() if name not in os.environ}
    # Loading the debugger would take longer than everything else together, and a run has nobody to debug.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    os.environ.update(told)
    with a_home():
        for name in names:
            with suppress(ImportError):
                importlib.import_module(name)
    for name in told:
        del os.environ[name]
    del sys.modules["debugpy"]


def use(groups: Iterable[str]) -> None:
    """Use libraries once, as a cell would, because much of what they need is loaded only then."""
    uses = {"pandas": _use_pandas, "matplotlib": _use_matplotlib}
    with a_home(), warnings.catch_warnings():
        # What is warned of here must be warned of again where it concerns somebody.
        warnings.simplefilter("ignore")
        for name in groups:
            if name in uses and name in sys.modules:
                uses[name]()


def _use_pandas() -> None:
    # Looked up by name, because types of it are not always installed with it.
    frame = sys.modules["pandas"].DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    frame.groupby("a").b.agg(["mean", "max"])._repr_html_()
    repr(frame.describe())


def _use_matplotlib() -> None:
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot([1, 2], label="a")
    axes.legend()
    figure.savefig(BytesIO(), format="png", bbox_inches="tight")


@contextmanager
def a_home() -> Iterator[None]:
    """A home for modules that look for one when they are loaded; no kernel will ever see it."""
    with tempfile.TemporaryDirectory(prefix="proofbook-") as home:
        os.environ["HOME"] = os.environ["IPYTHONDIR"] = home
        yield
    del os.environ["IPYTHONDIR"]
