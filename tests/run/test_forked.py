"""Forked kernels: like started ones in all that a cell can see, and gone when they should be."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from checks.model import RunState, Status
from checks.run import drive, kernels, zygote
from checks.run.context import Context
from tests.golden import cases
from tests.run.project import CHECK, Project, notebook_of, now

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")

WHERE = (
    "```python\nimport os, random\nfrom checks import check\n"
    "open('/proc/self/stat').read()\nprint(os.getpid(), os.getppid(), random.random())\ncheck('error-rate', 0)\n```\n"
)


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kernels are forked, and each test begins and ends without a server."""
    monkeypatch.setenv(kernels.ORIGIN_VARIABLE, "fork")
    monkeypatch.setattr(zygote, "_wanted", set())
    monkeypatch.setattr(zygote, "_again", set())
    monkeypatch.setattr(zygote, "_standing_by", 0)
    zygote.close()
    yield
    zygote.close()


def _server() -> psutil.Process:
    (server,) = zygote._servers.values()
    return psutil.Process(server.process.pid)


def _standing_by(count: int) -> list[psutil.Process]:
    """The kernels that wait, once there are so many."""
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        found = [kernel for warden in _server().children() for kernel in warden.children()]
        if len(found) == count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{count} kernels were to stand by")


def _printed(outcome: Any) -> list[str]:
    text: str = notebook_of(outcome).cells[1].outputs[0].text
    return text.split()


def _outputs(project: Project, cells: list[str], origin: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What cells give and say to widgets in a kernel of one origin, each after the last whatever came of that."""
    from checks.catalogue import resolve

    monkeypatch.setenv(kernels.ORIGIN_VARIABLE, origin)
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    system = project.catalogue.systems["shop"]
    told = Context("01RUN", "shop/morning", system, "test", {})
    with kernels.room(told, resolve(system, "test", project.variables), project.variables) as room:
        client = drive.client(notebook, drive.Drive(room, 60, 600, clock=now))
        said: list[list[Any]] = [[] for _ in cells]
        process: Callable[..., Any] = client.process_message

        def listening(msg: Any, cell: Any, cell_index: int) -> Any:
            if msg["msg_type"].startswith("comm"):
                said[cell_index].append([msg["msg_type"], msg["content"], [bytes(part).hex() for part in msg["buffers"]]])
            return process(msg, cell, cell_index)

        monkeypatch.setattr(client, "process_message", listening)
        client.open()
        try:
            for position in range(len(cells)):
                with suppress(drive.Stopped):
                    client.execute_one(position)
        finally:
            client.close()
        assert {outcome.value for outcome in client.drive.outcomes.values()} <= {"executed", "failed"}
        given = [[*_whole(cell.outputs), *messages] for cell, messages in zip(notebook.cells, said, strict=True)]
        return _normal(given, room.folder)


def _whole(outputs: list[Any]) -> list[Any]:
    """Outputs without how a stream was cut in pieces."""
    whole: list[Any] = []
    for output in outputs:
        if whole and output["output_type"] == "stream" and whole[-1].get("name") == output["name"]:
            whole[-1] = {**whole[-1], "text": whole[-1]["text"] + output["text"]}
        else:
            whole.append(dict(output))
    return whole


def _normal(given: list[Any], folder: Path) -> list[Any]:
    """What was given without what differs from one kernel to the next: addresses, ids, folders, processes and times."""
    numbers: dict[str, int] = {}
    text = json.dumps(given, sort_keys=True).replace(str(folder), "ROOM")
    text = re.sub(r"0x[0-9a-f]+", "0xADDRESS", text)
    text = re.sub(r"ipykernel_\d+", "ipykernel_PID", text)
    text = re.sub(r"\b[0-9a-f]{8}-[0-9a-f]{24}_\d+_\d+", "MESSAGE", text)
    text = re.sub(r"(CPU times|Wall time): .*?(?=\\n)", r"\1", text)
    text = re.sub(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", lambda found: f"ID{numbers.setdefault(found[0], len(numbers))}", text)
    normal: list[Any] = json.loads(text)
    return normal


@pytest.mark.parametrize("case", cases("corpus"))
def test_a_cell_cannot_tell_a_forked_kernel(case: Any, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every output of the corpus is the same from a forked and from a started kernel, but for addresses and folders."""
    if "needs" in case:
        pytest.importorskip(case["needs"])
        zygote.ask_for([case["needs"]])
    outputs = {origin: _outputs(project, case["cells"], origin, monkeypatch) for origin in ("fork", "stock")}
    triples = zip(case["cells"], outputs["fork"], outputs["stock"], strict=True)
    assert [(cell, ours, theirs) for cell, ours, theirs in triples if ours != theirs] == []
    if "shows" in case:
        assert case["shows"] in json.dumps(outputs["fork"])


def test_the_corpus_is_large_enough() -> None:
    """What no cell can tell is told by at least 200 of them."""
    assert sum(len(case.values[0]["cells"]) for case in cases("corpus")) >= 200


def test_kernels_are_forked_from_one_server(project: Project) -> None:
    """Two runs come from one server and differ in process and chance; of both there is nothing left but a free warden."""
    first, second = project.run(WHERE), project.run(WHERE)
    assert (first.run.status, second.run.status) == (Status.OK, Status.OK), first.run.reason
    (kernel, warden, chance), (other, same, another) = _printed(first), _printed(second)
    assert kernel != other
    assert chance != another
    assert warden == same
    assert [(child.pid, child.children()) for child in _server().children()] == [(int(warden), [])]


def test_kernels_stand_by(project: Project) -> None:
    """So many kernels as were asked for wait, know nothing of any run, and are the next to be given one; then new ones wait."""
    kernels.stand_by(2)
    first = _standing_by(2)
    assert all("PROOFBOOK_RUN" not in kernel.environ() for kernel in first)
    outcome = project.run(WHERE)
    assert outcome.run.status is Status.OK, outcome.run.reason
    assert int(_printed(outcome)[0]) in {kernel.pid for kernel in first}
    _standing_by(2)
    kernels.stand_by(0)
    outcome = project.run(WHERE)
    assert outcome.run.status is Status.OK, outcome.run.reason


def test_kernels_that_stand_by_end_with_whom_they_wait_for() -> None:
    """When their server is killed, or the process that asked for them closes it, kernels that stand by are gone in moments."""
    ends: tuple[Callable[[], object], ...] = (lambda: _server().kill(), zygote.close)
    for end in ends:
        kernels.stand_by(2)
        waiting = _standing_by(2)
        wardens = [kernel.parent() for kernel in waiting]
        end()
        _, alive = psutil.wait_procs([*waiting, *(warden for warden in wardens if warden)], timeout=10)
        assert alive == []
        zygote.close()


def test_a_kernel_that_stands_by_and_is_killed_is_done_without(project: Project) -> None:
    """A run that would have got a kernel which somebody killed gets another one."""
    kernels.stand_by(1)
    (waiting,) = _standing_by(1)
    waiting.kill()
    waiting.wait(10)
    outcome = project.run(CHECK)
    assert outcome.run.status is Status.OK, outcome.run.reason


def test_a_server_that_died_is_done_without(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """When the server is killed the next kernels are started as usual, and one line says why."""
    assert project.run(CHECK).run.status is Status.OK
    server = _server()
    server.kill()
    server.wait(10)
    outcomes = [project.run(CHECK), project.run(CHECK)]
    assert [outcome.run.status for outcome in outcomes] == [Status.OK, Status.OK]
    assert capfd.readouterr().err.count("the fork server is gone") == 1


def test_a_run_survives_its_server(project: Project) -> None:
    """A kernel whose server is killed while a cell runs goes on to the end, and leaves nothing."""
    body = (
        "```python\nimport os, signal, time\nos.kill({server}, signal.SIGKILL)\ntime.sleep(0.5)\nprint(os.getpid())\n```\n"
        + CHECK
    )
    assert project.run(CHECK).run.status is Status.OK
    outcome = project.run(body.replace("{server}", str(_server().pid)))
    assert outcome.run.status is Status.OK, outcome.run.reason
    assert not psutil.pid_exists(int(_printed(outcome)[0]))


def test_a_warden_that_is_killed_leaves_nothing(project: Project) -> None:
    """A cell that kills its own warden fails its run, and what it started elsewhere ends as well."""
    marker = f"51{time.time_ns() % 10**9}"
    body = (
        f"```python\nimport os, signal, subprocess, time\nsubprocess.Popen(['setsid', 'sleep', '{marker}'])\ntime.sleep(0.3)\n"
        "os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(30)\n```\n"
    )
    outcome = project.run(body)
    assert outcome.run.state is RunState.FAILED
    assert "the kernel died" in outcome.run.reason
    _wait_until_gone(marker)


def test_nothing_outlives_a_command_that_is_killed(project: Project) -> None:
    """When the command is killed without a chance to tell, server, warden, kernel and their children end in moments."""
    marker = f"52{time.time_ns() % 10**9}"
    slug = project.write(f"```python\nimport subprocess\nsubprocess.run(['setsid', '-w', 'sleep', '{marker}'])\n```\n")
    env = {**os.environ, kernels.ORIGIN_VARIABLE: "fork", "SHOP_FOLDER": project.variables["SHOP_FOLDER"]}
    command = [str(Path(sys.executable).parent / "proofbook"), "run", slug]
    with subprocess.Popen(command, cwd=project.root, env=env, stderr=subprocess.DEVNULL) as process:
        ends = time.monotonic() + 60
        while not _running(marker) and time.monotonic() < ends:
            time.sleep(0.05)
        assert _running(marker)
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 3
        process.kill()
    _wait_until_gone(marker)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def test_a_child_that_holds_our_line_does_not_keep_a_kernel_alive(tmp_path: Path) -> None:
    """A kernel ends with the process that asked for it, even where a child of that process still holds the line."""
    code = (
        "import os, sys, time\nfrom checks.run import zygote\n"
        "kernel = zygote.start([], sys.argv[1], {'HOME': sys.argv[1], 'PATH': os.environ['PATH']})\n"
        "child = os.fork()\nif child:\n    print(kernel.pid, child, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        kernel, child = (int(word) for word in process.stdout.readline().split())
        assert psutil.pid_exists(kernel)
        process.kill()
        try:
            ends = time.monotonic() + 10
            while psutil.pid_exists(kernel) and time.monotonic() < ends:
                time.sleep(0.05)
            assert not psutil.pid_exists(kernel)
            assert psutil.pid_exists(child)
        finally:
            psutil.Process(child).kill()


def test_a_newer_source_is_a_new_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key changes with any source file of ours, with what matters when modules are loaded, and with nothing else."""
    package = tmp_path / "checks"
    (package / "run").mkdir(parents=True)
    module = package / "run" / "zygote.py"
    module.write_text("x = 1\n")
    monkeypatch.setattr(zygote, "__file__", str(module))
    first = zygote.key_of({"LANG": "C.UTF-8", "SECRET": "a"})
    assert zygote.key_of({"LANG": "C.UTF-8", "SECRET": "b"}) == first
    assert zygote.key_of({"LANG": "de_DE.UTF-8"}) != first
    module.write_text("x = 22\n")
    assert zygote.key_of({"LANG": "C.UTF-8"}) != first


def test_a_changed_key_ends_the_old_server(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel with another key comes from another server, and the old one is gone."""
    project.run(CHECK)
    old = _server()
    monkeypatch.setattr(zygote, "_digest", lambda: "another")
    outcome = project.run(CHECK)
    assert outcome.run.status is Status.OK, outcome.run.reason
    assert _server().pid != old.pid
    assert not old.is_running()


def test_a_server_with_a_second_thread_does_not_fork(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """A server that is not single-threaded refuses, and the kernel is started instead."""
    server = Path(zygote.__file__).with_name("_zygote.py")
    code = (
        f"import runpy, sys, threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start();"
        f" sys.argv[0] = {str(server)!r}; runpy.run_module('checks.run._zygote', run_name='__main__')"
    )
    real = subprocess.Popen

    def popen(argv: list[str], **options: Any) -> Any:
        if "checks.run._zygote" in argv:
            argv = [argv[0], "-I", "-c", code, *argv[4:]]
        return real(argv, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("checks.run.zygote.subprocess.Popen", popen)
        outcome = project.run(CHECK)
    assert outcome.run.status is Status.OK, outcome.run.reason
    assert "the fork server has 2 threads" in capfd.readouterr().err


def test_what_kernels_need_is_loaded_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that a runbook imports is loaded beforehand; from the second one on it is also used, and a kernel stands by."""
    monkeypatch.setattr(kernels, "_wanted", Counter())
    asked: list[tuple[set[str], set[str]] | int] = []
    monkeypatch.setattr(zygote, "warm_up", lambda _env, groups, again: asked.append((set(groups), set(again))))
    monkeypatch.setattr(zygote, "stand_by", lambda _env, count, **_options: asked.append(count))
    kernels.warm_up(())
    kernels.warm_up(["import pandas"], ["http"])
    assert asked == [(set(), set()), ({"any", "pandas", "http"}, set())]
    kernels.warm_up(["import pandas\nimport numpy"])
    assert asked[2:] == [({"any", "pandas", "numpy", "http"}, {"any", "pandas"}), 1]


def test_heavy_imports_are_found_in_sources() -> None:
    """Only libraries that a line really imports are asked for."""
    sources = ["```python\nimport pandas as pd\n```", "  from matplotlib import pyplot", "# import numpy\nimportant pandas"]
    assert zygote.heavy_imports(sources) == {"pandas", "matplotlib"}
    assert zygote.heavy_imports([CHECK]) == {"checks"}


def _by_nbclient(path: Path) -> None:
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, kernel_name="proofbook", allow_errors=True).execute()
    nbformat.write(notebook, path)


def _by_papermill(path: Path) -> None:
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import execute_notebook

    with pytest.raises(PapermillExecutionError):
        execute_notebook(path, path, kernel_name="proofbook", progress_bar=False)


@pytest.mark.parametrize("execute", [_by_nbclient, _by_papermill])
def test_a_stock_client_forks_by_the_kernels_name(execute: Callable[[Path], None], tmp_path: Path) -> None:
    """Nbclient and papermill, told nothing but the name of the kernel that is installed with us, execute in a forked one."""
    path = tmp_path / "notebook.ipynb"
    cells = ["import os; print(os.getpid(), os.getppid())", "import checks\nlines = !exit 3"]
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
    execute(path)
    said, failed = [cell for cell in nbformat.read(path, as_version=4).cells if cell.source in cells]
    kernel, warden = (int(word) for word in said.outputs[0].text.split())
    assert _server().is_running()
    assert not psutil.pid_exists(kernel)
    assert warden in [child.pid for child in _server().children()]
    # `import checks` makes the shell strict there too, although the server had imported it long before.
    assert failed.outputs[0].ename == "CommandFailed"


def _running(marker: str) -> bool:
    return any(
        marker in (process.info["cmdline"] or []) and process.status() != psutil.STATUS_ZOMBIE
        for process in psutil.process_iter(["cmdline"])
    )


def _wait_until_gone(marker: str) -> None:
    ends = time.monotonic() + 10
    while _running(marker) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not _running(marker)
