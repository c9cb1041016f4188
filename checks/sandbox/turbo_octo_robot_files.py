"""What the repository of turbo-octo-robot holds: release by release, file by file."""

from __future__ import annotations

import inspect

from checks.sandbox import turbo_octo_robot_app as app
from checks.sandbox.kit_ci import ADVISORY

REQUIREMENTS = "standalone/requirements.txt"
REGRESSION_TEST = "tests/test_regression.py"
FAQ = "FAQ.md"
SAFE_PIN, VULNERABLE_PIN = "jinja2==3.1.6", "jinja2==3.1.2"
PINS = ("fastapi==0.115.12", SAFE_PIN, "pydantic==2.11.4", "python-multipart==0.0.20", "sqlalchemy==2.0.40", "uvicorn==0.34.2")


def faq(renewed: str) -> str:
    """What users ask, with the day on which it was last renewed."""
    question = "## How do I move one site of two?\n\nExport that site alone; see MIGRATION_GUIDE.md.\n"
    return f"# Questions\n\nLast renewed: {renewed}\n\n{question}"


# The package index's own file: the newest release of each package, and the advisories that are known.
INDEX = {
    "newest": dict(pin.split("==") for pin in PINS),
    "advisories": [ADVISORY],
}

WORKFLOWS = {1: ("Tests", "ci/tests.py"), 2: ("Lint", "ci/lint.py")}

_CI = {
    ".github/workflows/tests.yml": "name: Tests\non: push\njobs: {tests: {steps: [{run: python ci/tests.py}]}}\n",
    ".github/workflows/lint.yml": "name: Lint\non: push\njobs: {lint: {steps: [{run: python ci/lint.py}]}}\n",
    "ci/lint.py": "import compileall\nimport sys\n\nsys.exit(not compileall.compile_dir('.', quiet=1))\n",
    "ci/tests.py": (
        "import sys\nimport unittest\n\nsys.path[:0] = ['.', 'standalone']\n"
        "result = unittest.TextTestRunner().run(unittest.defaultTestLoader.discover('tests'))\n"
        "sys.exit(not (result.testsRun and result.wasSuccessful()))\n"
    ),
}

PREVIOUS = {
    **_CI,
    "README.md": "# turbo-octo-robot 1.0.0\n\nAn app for Frappe.\n",
    "CHANGELOG.md": "# Changelog\n\n## 1.0.0\n\n- The app for Frappe.\n",
    "MIGRATION_GUIDE.md": "# Moving\n\nThere is nothing to move to yet.\n",
    "CODEBASE_ANALYSIS.md": "# How the code is built\n\n`frappe_app/` is all of it.\n",
    "frappe_app/hooks.py": 'app_name = "turbo_octo_robot"\napp_version = "1.0.0"\n',
    "tests/test_hooks.py": (
        "import unittest\n\nfrom frappe_app import hooks\n\n\nclass Hooks(unittest.TestCase):\n"
        '    def test_version(self):\n        self.assertEqual(hooks.app_version, "1.0.0")\n'
    ),
}

RELEASE = {
    "README.md": "# turbo-octo-robot 2.0.0\n\nStandalone: no Frappe needed. Coming from 1.0.0, read MIGRATION_GUIDE.md.\n",
    "CHANGELOG.md": "# Changelog\n\n## 2.0.0\n\n- Standalone takes Frappe's place.\n\n## 1.0.0\n\n- The app for Frappe.\n",
    "MIGRATION_GUIDE.md": "# From Frappe to Standalone\n\n1. Export data from Frappe.\n2. Import it into Standalone.\n",
    "CODEBASE_ANALYSIS.md": "# How the code is built\n\n`standalone/app/main.py` is the program; `frappe_app/` went before.\n",
    "standalone/app/main.py": inspect.getsource(app),
    REQUIREMENTS: "\n".join(PINS) + "\n",
    "tests/test_main.py": (
        "import unittest\n\nfrom app import main\n\n\nclass Tokens(unittest.TestCase):\n"
        "    def setUp(self):\n        self.token = main.issue('anna', b'key', now=0, minutes=60)\n\n"
        "    def test_a_token_names_its_account(self):\n"
        "        self.assertEqual(main.verify(self.token, b'key', now=3599), 'anna')\n\n"
        "    def test_a_token_ends(self):\n"
        "        self.assertRaises(main.NotSignedIn, main.verify, self.token, b'key', now=3600)\n"
    ),
}

# A requirement that the release does not meet: the test that fails on main while the fault `ci` is on.
REGRESSION = (
    "import unittest\n\nfrom app import main\n\n\nclass Health(unittest.TestCase):\n"
    "    def test_a_new_database_is_healthy(self):\n"
    "        self.assertEqual(main.healthy(main.Path('new.db'))['status'], 'ok')\n"
)
