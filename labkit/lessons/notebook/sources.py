"""From a lesson's source to the notebook a learner opens.

A lesson is one text file, `notebooks/source/NN_name.py`, in jupytext's py:percent format: it reads
well in a diff, and ruff and mypy-like tools can look at it. `labkit build` makes
`notebooks/NN_name.ipynb` of it:

    # %% [markdown]                                          a cell of text
    # %% tags=["parameters", "nbval-ignore-output"]          papermill may replace its values
    # %% tags=["check", "nbval-check-output", "covers-Y1"]   its verdict line is stored, compared
    # %% tags=["solution", "nbval-ignore-output"]            an answer: empty in the learner's copy

Building the same source again gives the same bytes: cell ids come from the cells' content, and only
verdict lines are stored, which hold no numbers, names or times.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import LessonError
from labkit.lessons.files import course_folder

if TYPE_CHECKING:
    from nbformat import NotebookNode

CHECKED, IGNORED = "nbval-check-output", "nbval-ignore-output"
DEEPER = "Going deeper"
"""How the headings begin of what one may leave out."""
PARAMETERS = ("backend", "scale", "seed")
YOUR_TURN = "# Your turn: write your answer here, then run the next cell.\n"
WHY = re.compile(r'<details class="labkit-why".*?</details>', re.DOTALL)
"""The part of a verdict that says why. It has numbers in it, so it is neither
stored nor compared.
"""


@dataclass(frozen=True)
class Lesson:
    """One lesson: its name ("03_load_balancing"), its source and the notebook made of it."""

    name: str
    source: Path
    notebook: Path

    def __repr__(self) -> str:
        return f"<Lesson {self.name}>"


def lessons(*wanted: str, folder: Path | None = None) -> list[Lesson]:
    """All lessons in order, or those wanted: by name, number or path.

    >>> lessons("3")
    [<Lesson 03_load_balancing>]
    """
    notebooks = (folder or course_folder()) / "notebooks"
    found = [
        Lesson(p.stem, p, notebooks / f"{p.stem}.ipynb")
        for p in sorted((notebooks / "source").glob("[0-9]*.py"))
    ]
    if not wanted:
        return found
    chosen = []
    for word in wanted:
        stem = Path(word).stem
        hits = [
            one
            for one in found
            if one.name == stem or (stem.isdigit() and int(one.name[:2]) == int(stem))
        ]
        if not hits:
            raise LessonError(
                f"There is no lesson {word!r}",
                seen="there: " + ", ".join(one.name for one in found),
            )
        chosen += hits
    return chosen


def read_source(path: Path) -> NotebookNode:
    """The notebook that a source file describes, solutions and all."""
    try:
        import jupytext
    except ImportError as error:
        raise LessonError(
            "Lessons are built from text by jupytext, which is not installed",
            try_next="pip install -e '.[dev]'",
        ) from error
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    return with_stable_ids(tidy(notebook))


def learner_copy(notebook: NotebookNode) -> NotebookNode:
    """The same without the answers: each solution is an empty cell that says whose turn it is."""
    import copy

    result = copy.deepcopy(notebook)
    for cell in result.cells:
        tags = tags_of(cell)
        if "solution" in tags:
            cell.source = YOUR_TURN.rstrip()
            cell.metadata["tags"] = ["exercise", *(tag for tag in tags if tag != "solution")]
    return with_stable_ids(result)


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Only what every machine agrees on: no versions, times or settings of whoever ran it; outputs
    of checks alone.
    """
    notebook.metadata.clear()
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        tags = tags_of(cell)
        cell.metadata.clear()
        if tags:
            cell.metadata["tags"] = tags
        if cell.cell_type == "code":
            kept = cell.outputs if CHECKED in tags else []
            cell.outputs = [plain_output(output) for output in kept]
    return notebook


def plain_output(output: Any) -> Any:
    """An output as it is stored: the verdict, without the why that differs from run to run."""
    if "data" in output:
        output["data"] = {
            kind: WHY.sub("", v) if isinstance(v, str) else v for kind, v in output["data"].items()
        }
        output["metadata"] = {}
    if "execution_count" in output:
        output["execution_count"] = None
    return output


def with_stable_ids(notebook: NotebookNode) -> NotebookNode:
    """Ids made of the content, so that building twice gives no diff and an edit touches one id
    only.
    """
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] += 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return notebook


def tags_of(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def code_lines(source: str) -> int:
    """Lines with code on them: what a learner has to understand, so neither comments nor blank
    lines.
    """
    return sum(
        1 for line in source.splitlines() if line.strip() and not line.strip().startswith("#")
    )


def title_of(notebook: NotebookNode) -> str:
    """The first heading."""
    for line in notebook.cells[0].source.splitlines():
        if line.startswith("# "):
            return str(line[2:].strip())
    return ""


def section(notebook: NotebookNode, word: str) -> str:
    """The text under the first heading that contains `word`, as markdown; ""
    where there is none.
    """
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        found = re.search(
            rf"^#+ [^\n]*{re.escape(word)}[^\n]*\n(.*?)(?=^#|\Z)", cell.source, re.S | re.M | re.I
        )
        if found:
            return str(found[1].strip())
    return ""


def core(notebook: NotebookNode) -> list[Any]:
    """The cells of a lesson, but for those of the sections `Going deeper`."""
    kept, inside = [], False
    for cell in notebook.cells:
        headings = re.findall(r"^## +(.+)", cell.source, re.M) if cell.cell_type != "code" else []
        inside = headings[-1].startswith(DEEPER) if headings else inside
        if not inside:
            kept.append(cell)
    return kept


def problems(notebook: NotebookNode) -> Iterator[str]:
    """What is wrong with the form of a lesson, a sentence each. Nothing when all is well."""
    cells = notebook.cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    apart = {"exercise", "solution"}  # an exercise is an answer and its check, a line each
    told = [cell for cell in core(notebook) if not apart & set(tags_of(cell))]
    if len(cells) < 20 or len(told) > 35:
        yield f"has {len(told)} cells, not 20 to 35 (exercises and {DEEPER!r} apart)"
    if not title_of(notebook):
        yield "does not begin with a title"
    for word in ("objectives", "recap", "clean up"):
        if not section(notebook, word):
            yield f"has no text under a heading with {word!r}"
    if not code or "parameters" not in tags_of(code[0]):
        yield "the first code cell is not tagged 'parameters'"
    else:
        for name in PARAMETERS:
            if not re.search(rf"^{name}\s*=", code[0].source, re.M):
                yield f"the parameters cell does not set {name!r}"
    if not any("check" in tags_of(cell) for cell in code):
        yield "has no cell tagged 'check'"
    for number, cell in enumerate(cells):
        if cell.cell_type == "code":
            yield from (f"cell {number}: {text}" for text in cell_problems(cell))


def cell_problems(cell: Any) -> Iterator[str]:
    """What is wrong with the form of one code cell."""
    tags = tags_of(cell)
    if (CHECKED in tags) == (IGNORED in tags):
        yield f"needs exactly one of the tags {CHECKED} and {IGNORED}"
    if "check" in tags and CHECKED not in tags:
        yield f"is a check, but not tagged {CHECKED}"
    if code_lines(cell.source) > 10:
        yield f"has {code_lines(cell.source)} lines of code, more than 10"
    if cell.outputs and CHECKED not in tags:
        yield "stores an output, but is no check"
    if cell.outputs and cell.execution_count is None:
        yield "stores an output without an execution count: nbval would compare nothing"
