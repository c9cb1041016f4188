from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from checks.model import Observation
from tests.probes.conftest import measured, reason_of, settings, value_of


def python(program: str, *arguments: str, **options: Any) -> dict[str, Any]:
    """A declared command that runs a Python program."""
    return {"kind": "command", "argv": [sys.executable, "-c", program, *arguments], "timeout": "10s", **options}


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_the_exit_status_is_the_value(status: int) -> None:
    """A program's exit status is measured, whatever it is."""
    assert value_of(python(f"raise SystemExit({status})")) == status


@pytest.mark.parametrize(
    ("printed", "value"),
    [("42", 42.0), (" 12 files\n", 12.0), ("-0.5", -0.5), ("load 1e3 now.", 1000.0), ("12%", 12.0), ("v2.1.3 has 7 faults", 7.0)],
)
def test_the_only_number_printed_is_the_value(printed: str, value: float) -> None:
    """The number may have words around it; parts of a version are no numbers."""
    assert value_of(python(f"print({printed!r})", take="number")) == value


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("", "no number in the output of"),
        ("none", "no number"),
        ("nan", "no number"),
        ("inf", "no number"),
        ("1 of 2", "2 numbers in the output of"),
        ("1,234", "no number"),
        ("1e999", "infinite"),
    ],
)
def test_output_without_exactly_one_number_is_no_observation(printed: str, reason: str) -> None:
    """No number, several, or one that is ambiguous is unknown, and the output is quoted."""
    assert reason in reason_of(python(f"print({printed!r})", take="number"))


def test_json_output_is_selected_from() -> None:
    """The number at the JMESPath of the printed JSON is the value."""
    assert value_of(python("print('{\"open\": [1, 2]}')", take="json", select="length(open)")) == 2
    assert "closed is missing" in reason_of(python("print('{\"open\": 1}')", take="json", select="closed"))
    assert "is not JSON: oops" in reason_of(python("print('oops')", take="json", select="closed"))


@pytest.mark.parametrize("take", [{"take": "number"}, {"take": "json", "select": "a"}])
def test_a_failing_program_gives_no_number(take: dict[str, str]) -> None:
    """What a program printed before it failed is not its answer; the reason has its last words."""
    program = "import sys; print('{\"a\": 1}'); sys.exit('the disk is away')"
    assert reason_of(python(program, **take)).endswith("ended with exit status 1: the disk is away")


def test_a_program_ended_by_a_signal_is_unknown() -> None:
    """Death by signal is no exit status."""
    assert "ended by signal SIGKILL" in reason_of(python("import os; os.kill(os.getpid(), 9)"))


def test_a_program_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    """A missing program, or a file that is none, is a reason."""
    (tmp_path / "text").write_text("hello")
    assert reason_of({"kind": "command", "argv": ["no-such-program"]}) == "the program no-such-program is not found"
    assert "cannot be started: Permission denied" in reason_of({"kind": "command", "argv": [str(tmp_path / "text")]})


def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    """Metacharacters in arguments and settings arrive as they are."""
    hostile = f"; touch {tmp_path / 'broken'} $(touch {tmp_path / 'broken'}) `id` * > {tmp_path / 'broken'}"
    program = "import sys; print(len(sys.argv), sys.argv[1] == sys.argv[2]); sys.exit(sys.argv[1] != sys.argv[2])"
    assert value_of(python(program, hostile, "{it}"), settled=settings({"it": hostile})) == 0
    assert list(tmp_path.iterdir()) == []


def test_the_deadline_ends_the_whole_tree(tmp_path: Path) -> None:
    """At the deadline the program, its children and a child that left its process group are all gone."""
    program = """
import os, pathlib, subprocess, sys, time
sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
children = [subprocess.Popen(sleeping), subprocess.Popen(sleeping, start_new_session=True)]
pathlib.Path(sys.argv[1]).write_text(" ".join(str(pid) for pid in [os.getpid(), *(child.pid for child in children)]))
time.sleep(60)
"""
    started = time.monotonic()
    said = reason_of(python(program, str(tmp_path / "pids"), timeout="1500ms"))
    assert said.endswith("did not end within 1.5 s")
    assert time.monotonic() - started < 10
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 3
    wait_until_gone(pids)


def test_a_program_that_ignores_signals_still_ends() -> None:
    """SIGTERM and SIGINT being ignored do not hold the deadline up."""
    program = "import signal, time\nfor s in (2, 15): signal.signal(s, signal.SIG_IGN)\nwhile True: time.sleep(1)"
    started = time.monotonic()
    assert "did not end within" in reason_of(python(program, timeout="700ms"))
    assert time.monotonic() - started < 5


def test_a_child_left_behind_does_not_hold_the_answer_up(tmp_path: Path) -> None:
    """A program that ends while its child holds the output open is answered at once, and the child is ended."""
    program = """
import pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
print(7)
"""
    started = time.monotonic()
    assert value_of(python(program, str(tmp_path / "pid"), take="number")) == 7
    assert time.monotonic() - started < 5
    wait_until_gone([int((tmp_path / "pid").read_text())])


def test_endless_output_is_bounded() -> None:
    """A program that floods its output is ended at the cap, not at the deadline."""
    program = "import sys\nwhile True: sys.stdout.write('1' * 65536)"
    assert reason_of(python(program, take="number", timeout="60s")).endswith("wrote more than 10 MB")


def test_endless_errors_do_not_fill_memory_or_block() -> None:
    """A program that floods its errors still gives its answer."""
    program = "import sys\nfor _ in range(300): sys.stderr.write('x' * 65536)\nprint(5)"
    assert value_of(python(program, take="number")) == 5


def test_input_is_empty() -> None:
    """A program that asks for input gets its end instead of the terminal."""
    assert value_of(python("import sys; print(len(sys.stdin.read()))", take="number")) == 0


def test_output_may_be_any_bytes() -> None:
    """Invalid UTF-8 around the number does no harm."""
    assert value_of(python("import sys; sys.stdout.buffer.write(b'\\xff\\x00 8 \\xfe')", take="number")) == 8


def test_a_secret_argument_is_masked() -> None:
    """A secret is given to the program, and shown neither in source nor in what it says."""
    settled = settings({"token": "s3cr3t"}, secrets=("s3cr3t",))
    seen = measured(python("import sys; sys.exit('bad ' + sys.argv[1])", "{token}", take="number"), settled=settled)
    assert "s3cr3t" not in repr(seen)
    assert "bad •••" in repr(seen)
    seen = measured(python("import sys; sys.exit(sys.argv[1] != 's3cr' + '3t')", "{token}"), settled=settled)
    assert isinstance(seen, Observation)
    assert seen.value == 0
    assert "s3cr3t" not in seen.source


def test_nothing_stays_open() -> None:
    """Measuring leaves no descriptor and no child behind."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        value_of(python("print(1)", take="number"))
        reason_of(python("import time; time.sleep(9)", timeout="200ms"))
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    assert [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE] == []


def wait_until_gone(pids: list[int]) -> None:
    """Wait up to five seconds until none of these processes runs."""
    ends = time.monotonic() + 5
    while alive := [pid for pid in pids if runs(pid)]:
        assert time.monotonic() < ends, f"still running: {alive}"
        time.sleep(0.02)


def runs(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("argv", "value"),
    [
        (["{python}", "-c", "import sys; print(len(sys.argv))", "--", "{dashes}"], 3),
        (["{python}", "-c", "import sys; print(len(sys.argv))", "-v", "{plain}"], 3),
        (["{python}", "-c", "import sys; print(len(sys.argv))", "--name={dashes}"], 2),
        (["{python}", "-c", "import sys; print(len(sys.argv))", "-{plain}"], 2),
    ],
)
def test_options_are_those_that_the_author_wrote(argv: list[str], value: float) -> None:
    """What begins with a dash by its author's hand is an option, and behind `--` nothing is one."""
    settled = settings({"python": sys.executable, "dashes": "--help", "plain": "shop"})
    assert value_of({"kind": "command", "argv": argv, "take": "number"}, settled=settled) == value


@pytest.mark.parametrize("argv", [["{python}", "{dashes}"], ["{python}", "{dashes}", "--"], ["{python}", "x", "{empty}{dashes}"]])
def test_a_setting_is_never_taken_for_an_option(argv: list[str]) -> None:
    """A setting's value that begins with a dash reaches no program that could obey it."""
    settled = settings({"python": sys.executable, "dashes": "--version", "empty": ""})
    said = reason_of({"kind": "command", "argv": argv}, settled=settled)
    assert f"--version would be an option for {sys.executable}, and comes from a setting; write `--` before it" in said
