"""The exercise of lesson 8: another path for the new version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lessons.checks import check
from labkit.lessons.checks.answers import seen_paths
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh

WANTED = {
    "/": ("v1", "/"),
    "/beta": ("v2", "/"),
    "/beta/a": ("v2", "/a"),
    "/betamax": ("v1", "/betamax"),
    "/v2": ("v1", "/v2"),
}
# a route without a subset would have to draw the right version 24 times running: once in 10^4 at
# most
EACH = 12


def leads_beta_to_v2(mesh: Mesh) -> Verdict:
    """For each path: who answers, and which path the application sees."""
    seen = {}
    for path in WANTED:
        # nobody will look for these requests in a log, so they need no ids
        result = mesh.curl(f"http://test.example.com{path}", n=EACH, request_ids=False)
        seen[path] = set(zip(result.column("version"), seen_paths(result), strict=True))
    wanted = {path: {answer} for path, answer in WANTED.items()}
    return check.equal(seen, wanted, "/beta and what is below it go to v2, everything else to v1")


TASKS = {
    "08-1": Task(
        prompt=(
            "Route /beta to v2, which sees it as /, and everything below it as well: /beta/a is "
            "seen as /a. Everything else goes to v1, unchanged."
        ),
        judge=leads_beta_to_v2,
        hints=(
            "The VirtualService has to change. Which one in this lesson comes close?",
            "Take the text of exact-and-prefix.yaml and change one word in two places.",
            "A file with the answer is 08_subsets_and_rewrite/beta.yaml.",
        ),
        solution="mesh.apply(manifest('08_subsets_and_rewrite/beta.yaml'))",
    ),
}
