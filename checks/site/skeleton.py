"""A runbook's page: Markdown made from its notebook, with live elements where figures belong.

The page is made for MkDocs, so headings, search and highlighting are MkDocs' own. Observed text is never in it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from checks.catalogue import notebook
from checks.model import Runbook, RunbookKind, Step, StepClass
from checks.site import live, words
from checks.site.words import letters

if TYPE_CHECKING:
    from checks.catalogue import Catalogue
    from checks.catalogue.known_steps import KnownSteps

_FOLDED_FROM = {"python": 6}
"""Of so many lines on a cell's code is folded: a reader looks for what it found."""
_FOLDED_FROM_ELSE = 14
"""What is copied into a terminal stays in sight for longer."""
_CELL_MAGIC = re.compile(r"\A%%(\w+)[^\n]*\n?")
_HEADING = re.compile(r"\A\s*##\s+[^\n]*\n?")
_TITLE = re.compile(r"\A\s*#\s+[^\n]*\n?")
_OWN_NUMBER = re.compile(r"\A(?:step\s+)?\d+\s*[.:)]\s+", re.IGNORECASE)
_COMMENT_TAGS = re.compile(r"^<!-- #(?:end)?region\b.*?-->\n?", re.MULTILINE)
_STEP_HEADING = re.compile(r'<h2 class="pb-step-title" id="[^"]*">.*?</h2>\s*<p class="pb-step-facts"[^>]*>.*?</p>', re.DOTALL)
_END_OF_STEPS = '<div class="pb-steps-end"></div>'
_LANGUAGES = {"bash": "bash", "sh": "bash", "sql": "sql", "html": "html"}

_MEANING = {
    RunbookKind.CHECK: "Check: it measures, and changes nothing.",
    RunbookKind.PROCEDURE: "Procedure: an operator walks through it, step by step.",
    RunbookKind.REPORT: "Report: it gathers figures, and changes nothing.",
}


def page_of(runbook: Runbook) -> str:
    """The source path of a runbook's page."""
    return f"systems/{runbook.system}/runbooks/{runbook.name}.md"


def runbook_page(runbook: Runbook, catalogue: Catalogue, known: KnownSteps | None = None) -> str:
    """The page of a runbook as Markdown with front matter.

    Args:
        runbook: the declaration.
        catalogue: what it is part of.
        known: what is told the runbook's steps, as its notebook has been read.

    Raises:
        DataError: Jupytext cannot read the notebook.

    """
    cells = notebook.read(runbook)
    steps = notebook.steps(cells)
    if known is not None:
        known.note(runbook, steps)
    title = letters(runbook.title, quote=False)
    # mkdocs-macros would take `{{ }}` in a runbook's own code for a macro.
    head = ["---", f"title: {json.dumps(title)}", "render_macros: false", "---", ""]
    prefaces = [step for step in steps if not step.number]
    body = [
        live.block("run", runbook.slug),
        "",
        f'<p class="pb-lead">{letters(runbook.summary)}</p>',
        "",
        # When to follow it comes before what it is.
        *(line for step in prefaces for line in _preface(step, cells)),
        _facts(runbook, catalogue),
        "",
        *_operate(runbook, steps),
        *(line for step in prefaces for line in _prepared(step, cells)),
    ]
    for step in steps:
        body += _step(runbook, step, cells) if step.number else []
    body += ["", _END_OF_STEPS, "", f"## History {words.UNSEARCHED}", "", live.block("runs", runbook.slug), ""]
    return "\n".join(head + body)


def wrap_steps(html: str) -> str:
    """Make a card of each step of a runbook's page, once MkDocs has turned it into HTML and the search has read that."""
    steps, end, rest = html.rpartition(_END_OF_STEPS)
    starts = [match.start() for match in _STEP_HEADING.finditer(steps)]
    if not end or not starts:
        return html
    cards = []
    for begin, until in zip(starts, [*starts[1:], len(steps)], strict=True):
        heading = _STEP_HEADING.match(steps, begin)
        if heading is None:
            raise AssertionError("a step that was found is gone")
        body = steps[heading.end() : until]
        cards.append(f'<section class="pb-step"><header>{heading.group()}</header>{body}</section>\n')
    return steps[: starts[0]] + "".join(cards) + rest


def _facts(runbook: Runbook, catalogue: Catalogue) -> str:
    system = catalogue.systems.get(runbook.system)
    environments = runbook.environments or (tuple(system.environments) if system else ())
    rows = [
        ("Kind", letters(_MEANING[runbook.kind])),
        ("Runs", letters(words.schedule(runbook.schedule))),
        ("Speaks for", letters(words.span(runbook.fresh_for))),
        ("Deadline", letters(words.span(runbook.deadline))),
        ("Time budget", letters(words.span(runbook.time_budget)) if runbook.time_budget else ""),
        ("Environments", letters(", ".join(environments))),
        ("Owner", letters(runbook.owner)),
    ]
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows if value)
    # Each runbook says these; the search would show them, run together, as what a page is about.
    return f'<dl class="pb-facts" data-search-exclude>{listed}{words.fulfils(runbook.source)}</dl>'


def _operate(runbook: Runbook, steps: tuple[Step, ...]) -> list[str]:
    gravest = {step.step_class for step in steps} - {StepClass.READ}
    run = f"proofbook run {runbook.slug}"
    operate = f"proofbook operate {runbook.slug}"
    example = next(iter(runbook.parameters.values()), None)
    if example is not None:
        run += f" --param {example.name}={_shell_word(example.default)}"
    if gravest:
        commands = {
            "Walk through it in a terminal; you are asked before each step:": operate,
            "Or execute its read steps only:": run,
        }
    else:
        commands = {
            "It changes nothing, so it runs by itself, and you can run it at any time:": run,
            "Or walk through it step by step:": operate,
        }
    lines = [f"## Operate {words.UNSEARCHED}", ""]
    for said, command in commands.items():
        lines += [said, "", "```bash", command, "```", ""]
    if runbook.parameters:
        lines += [_parameters(runbook), ""]
    return lines


def _parameters(runbook: Runbook) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("Parameter", "Type", "Default", "Allowed", "What it is"))
    rows = [
        (f"<code>{name}</code>", *map(letters, (one.type, _default(one.default), words.allowed(one), one.help)))
        for name, one in runbook.parameters.items()
    ]
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _preface(step: Step, cells: Any) -> list[str]:
    """What is said before the first step."""
    found = [cells.cells[position] for position in step.cells]
    return [
        line
        for cell in found
        if cell.cell_type == "markdown"
        for line in (_COMMENT_TAGS.sub("", _TITLE.sub("", cell.source)), "")
    ]


def _prepared(step: Step, cells: Any) -> list[str]:
    """What is executed before the first step."""
    found = [cells.cells[position] for position in step.cells]
    return [line for cell in found if cell.cell_type != "markdown" and cell.source.strip() for line in _code(cell.source)]


def _step(runbook: Runbook, step: Step, cells: Any) -> list[str]:
    name = step.step_class.value
    argument = f"{runbook.slug}#{step.number}"
    only = "" if step.step_class is StepClass.READ else ' <span class="pb-soft">operators only</span>'
    lines = [
        f"## {step.number}. {_OWN_NUMBER.sub('', step.title)} {{ .pb-step-title #step-{step.number} }}",
        "",
        f'<p class="pb-step-facts" data-search-exclude><span class="pb-class pb-class-{name}">{name}</span>{only} '
        f"{live.inline('step-status', argument)}</p>",
        "",
    ]
    for position in step.cells:
        cell = cells.cells[position]
        source = _HEADING.sub("", cell.source) if cell.cell_type == "markdown" else cell.source
        if cell.cell_type == "markdown":
            lines += [_COMMENT_TAGS.sub("", source), ""]
        elif source.strip():
            lines += _code(source)
    return [*lines, live.block("step", argument), ""]


def _code(source: str) -> list[str]:
    magic = _CELL_MAGIC.match(source)
    language = _LANGUAGES.get(magic.group(1), "text") if magic else "python"
    text = (source[magic.end() :] if magic else source).strip("\n")
    longest = max((len(ticks) for ticks in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    block = [f"{fence}{language}", *text.splitlines(), fence]
    if len(block) - 2 < _FOLDED_FROM.get(language, _FOLDED_FROM_ELSE):
        return [*block, ""]
    spoken = {"python": "Python", "bash": "shell"}.get(language, language)
    return [f'??? abstract "{len(block) - 2} lines of {spoken}"', *(f"    {line}" if line else "" for line in block), ""]


def _default(value: object) -> str:
    return "none" if value is None else str(value)


def _shell_word(value: object) -> str:
    import shlex

    text = str(value).lower() if isinstance(value, bool) else str(value)
    # A line that ends within the command would end the block that it stands in.
    return shlex.quote(text if value is not None and text.isprintable() else "VALUE")
