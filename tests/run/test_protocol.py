"""The Jupyter project's own suite for kernels, on a forked kernel and on one that was started anew."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jupyter_kernel_test
import pytest
from jupyter_client.manager import start_new_kernel

from checks.run import zygote
from checks.run._prepared import OPTIONS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")

# The suite gives a message a tenth of a second, which a busy machine needs for something else now and then.
_PATIENCE_SECONDS = 10.0


class _Suite(jupyter_kernel_test.KernelTests):
    """The suite, told what an IPython kernel answers."""

    __test__ = False

    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples: list[dict[str, Any]] = [{"text": "zi", "matches": {"zip"}}]  # noqa: RUF012 - as the suite declares it
    complete_code_samples: list[str] = ["1", "print(1)", "def f(x):\n  return x*2\n\n\n"]  # noqa: RUF012 - as the suite declares it
    incomplete_code_samples: list[str] = ["print('''hello", "def f(x):\n  x*2"]  # noqa: RUF012 - as the suite declares it
    invalid_code_samples: list[str] = ["import = 7q"]  # noqa: RUF012 - as the suite declares it
    code_page_something = "zip?"
    code_generate_error = "raise"
    code_execute_result: list[dict[str, str]] = [{"code": "6*7", "result": "42"}]  # noqa: RUF012 - as the suite declares it
    code_display_data: list[dict[str, str]] = [  # noqa: RUF012 - as above
        {"code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))", "mime": "text/html"},
        {"code": "from IPython.display import Math, display; display(Math('\\\\frac{1}{2}'))", "mime": "text/latex"},
    ]
    code_history_pattern = "6*"
    # IPython 9 gives the present session the number 0 in a range; the suite expects the one that it said before.
    supported_history_operations: tuple[str, ...] = ("tail", "search")  # type: ignore[assignment]  # declared as empty
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"

    provisioner = "local-provisioner"
    options: tuple[str, ...] = ()
    impatient: Callable[..., Any]

    @classmethod
    def setUpClass(cls) -> None:
        with tempfile.TemporaryDirectory() as folder:
            argv = [sys.executable, "-I", "-m", "ipykernel_launcher", "-f", "{connection_file}", *cls.options]
            about = {"kernel_provisioner": {"provisioner_name": cls.provisioner}}
            spec = {"argv": argv, "display_name": "Tried", "language": "python", "metadata": about}
            path = Path(folder) / "kernels" / "tried" / "kernel.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(spec))
            with mock.patch.dict("os.environ", {"JUPYTER_PATH": folder}):
                cls.km, cls.kc = start_new_kernel(kernel_name="tried")
        channel = cls.kc.iopub_channel
        cls.impatient = channel.get_msg
        channel.get_msg = lambda timeout=None: cls.impatient(timeout=max(timeout or 0, _PATIENCE_SECONDS))

    def flush_channels(self) -> None:
        patient, self.kc.iopub_channel.get_msg = self.kc.iopub_channel.get_msg, self.impatient
        try:
            super().flush_channels()
        finally:
            self.kc.iopub_channel.get_msg = patient


class TestStarted(_Suite):
    """A kernel that was started anew passes the suite."""

    __test__ = True

    def test_it_is_what_it_is_meant_to_be(self) -> None:
        """No server forked it."""
        assert not isinstance(getattr(self.km.provisioner, "process", None), zygote.Forked)


class TestForked(_Suite):
    """A forked kernel passes the suite, asked for by nothing but a kernel specification."""

    __test__ = True

    provisioner = "proofbook-fork"

    def test_it_is_what_it_is_meant_to_be(self) -> None:
        """A server forked it."""
        assert isinstance(getattr(self.km.provisioner, "process", None), zygote.Forked)


class TestPrepared(TestForked):
    """A forked kernel whose shell was built beforehand passes the suite, but that it keeps no history."""

    options = OPTIONS
    supported_history_operations = ()
