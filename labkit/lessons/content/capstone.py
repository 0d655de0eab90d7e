"""The last lesson: a small shop with ten faults, and a grade that says which of its owner's wishes
are met.

    mesh.apply(manifest("12_capstone/shop.yaml"), manifest("12_capstone/broken"))
    grade(mesh)
    FAIL   1  every pod of the shop has a sidecar
    …
    0 of 10

Each fault breaks one wish only: a test leaves in each one alone and looks.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from labkit.errors import LabkitError
from labkit.lessons.checks.verdict import FAIL, NOT_YET, CheckFailed, Verdict, Why, fail, quietly
from labkit.lessons.content import shop
from labkit.lessons.progress import strict

if TYPE_CHECKING:
    from labkit.mesh import Mesh


@dataclass(frozen=True)
class Wish:
    """One thing the shop's owner wants, the file that decides it, and how to find out whether it is
    so.
    """

    text: str
    file: str
    judge: Callable[[Any], Verdict]
    hints: tuple[str, str, str]


WISHES = (
    Wish(
        "every pod of the shop has a sidecar",
        "namespace.yaml",
        shop.has_sidecars,
        (
            "Look at READY in mesh.get('pods', namespace='shop'). What does 1/1 mean?",
            "Lesson 2: which label does a namespace need, and what about pods that are already "
            "running?",
            "Label the namespace istio-injection=enabled, then mesh.restart each Deployment with "
            "namespace='shop'.",
        ),
    ),
    Wish(
        "the shop answers as shop.example.com and as www.example.com",
        "gateway.yaml",
        shop.both_names,
        (
            "Call both names with mesh.curl. Which status and which flag does the failing one "
            "have?",
            "Lesson 4: a request must be let in by a Gateway and have a route in a "
            "VirtualService. Which of the two is missing?",
            "Add www.example.com to the hosts of the Gateway.",
        ),
    ),
    Wish(
        "testers (header x-tester: yes) get v2 of the shop, all others v1",
        "shop-rule.yaml",
        shop.testers_see_v2,
        (
            "Call it with headers={'x-tester': 'yes'} and look at the result's flags.",
            "Lesson 8: UH means no healthy pod. Which pods does the testers' subset select?",
            "Pods carry the label version: v2. Compare with the labels of subset v2 in the "
            "DestinationRule.",
        ),
    ),
    Wish(
        "shop.example.com/cart is answered by the Service cart, for testers too",
        "shop-routes.yaml",
        shop.cart_page,
        (
            "Which pod answers mesh.curl('http://shop.example.com/cart')? Did apply warn about "
            "anything?",
            "Routes are tried from top to bottom. Which one takes /cart?",
            "The first route that matches takes the request: /cart first, then the testers, and "
            "last the route "
            "without a match.",
        ),
    ),
    Wish(
        "cart handles 4 requests at a time, lets 4 more wait, and refuses the rest",
        "cart-rule.yaml",
        shop.breaker,
        (
            "Lesson 7: which two limits of a connection pool decide this?",
            "maxConnections limits how many are in progress, http1MaxPendingRequests how many "
            "may wait.",
            "Both are 4. Look at their current values with mesh.resource('DestinationRule', "
            "'cart').",
        ),
    ),
    Wish(
        "cart.example.com/api/items reaches cart as /items",
        "cart-routes.yaml",
        shop.rewrites,
        (
            "Print mesh.curl('http://cart.example.com/api/items').text: which path did cart see?",
            "Lesson 8: rewrite replaces the part that matched, and only that.",
            "When the /api of /api/items becomes /, the result is //items. Match /api/, with the "
            "trailing slash.",
        ),
    ),
    Wish(
        "each customer (header x-customer) gets the same pod of stock every time",
        "stock-rule.yaml",
        shop.affinity,
        (
            "Send requests with the header x-customer: 1 and look at result.pods.",
            "Lesson 5: a hash of a header that no request carries has no effect. Which header "
            "does the rule name?",
            "It is a matter of two letters: costumer, customer.",
        ),
    ),
    Wish(
        "nobody waits longer than 300 ms for stock",
        "stock-routes.yaml",
        shop.times_out,
        (
            "Make it slow: mesh.control('stock', delay_ms=1500, namespace='shop'). How long does "
            "a caller wait?",
            "Lesson 10: which field of a route limits that?",
            "timeout: 300ms, next to route in the VirtualService stock.",
        ),
    ),
    Wish(
        "a pod of pay v1 that fails 3 times in a row is ejected for a second, but never more "
        "than half of v1's pods at a time",
        "pay-rule.yaml",
        shop.ejects,
        (
            "Lesson 6: how many of two pods may be ejected by default?",
            "A route to a subset counts only the pods of that subset: v1 has two. 10 % of two is "
            "less than one pod, so none is ever ejected.",
            "maxEjectionPercent: 50, under outlierDetection.",
        ),
    ),
    Wish(
        "v1 of pay takes 90 % of the payments, v2 takes 10 %",
        "pay-routes.yaml",
        shop.weighted,
        (
            "Send a few hundred requests to pay.example.com with mesh.fortio and look at "
            "result.versions.",
            "Lesson 9: which weight is next to which subset?",
            "The two weights are swapped.",
        ),
    ),
)


def judge(mesh: Mesh, number: int) -> Verdict:
    """Whether wish `number` (from 1) is met; never raises for a shop that is wrong. Applications
    are put right after.

    >>> judge(mesh, 3)
    FAIL   3  testers (header x-tester: yes) get v2 of the shop, all others v1
    """
    wish = WISHES[number - 1]
    claim = f"{number:>2}  {wish.text}"
    try:
        with quietly():
            found = wish.judge(mesh)
        return Verdict(True, claim, found.why)
    except CheckFailed as failure:
        return Verdict(False, claim, failure.verdict.why, wish.hints)
    except LabkitError as error:
        return Verdict(False, claim, Why(wish.text, str(error)), wish.hints)
    finally:
        for workload in {pod.workload for pod in mesh.pods(namespace=shop.NAMESPACE)}:
            mesh.control(workload, reset=True, namespace=shop.NAMESPACE)


@dataclass(frozen=True, repr=False)
class Grade:
    """A verdict for each wish, and how many are met."""

    verdicts: tuple[Verdict, ...]

    @property
    def points(self) -> int:
        """How many wishes are met."""
        return sum(verdict.passed for verdict in self.verdicts)

    @property
    def failed(self) -> list[int]:
        """The numbers of the wishes that are not met."""
        return [number for number, verdict in enumerate(self.verdicts, 1) if not verdict.passed]

    @property
    def total(self) -> str:
        """In words: "7 of 10"."""
        return f"{self.points} of {len(self.verdicts)}"

    def check(self) -> Verdict:
        """The last verdict of the course: NOT YET while a wish is open, and an error then where
        solutions are run.
        """
        missing = [verdict.line for verdict in self.verdicts if not verdict.passed]
        passed = not missing
        why = Why(
            "every wish is met", self.total, tuple(missing), near_miss="one wish that is not met"
        )
        verdict = Verdict(
            passed, "the shop works as its owner wants", why, word="" if passed else NOT_YET
        )
        if strict() and not passed:  # its message is all that somebody sees who was not there
            seen = [f"{v.line} ({v.why.seen})" for v in self.verdicts if not v.passed]
            told = replace(why, seen="; ".join([self.total, *seen]))
            fail(replace(verdict, word=FAIL, why=told))
        return verdict

    def __repr__(self) -> str:
        return "\n".join([*(verdict.line for verdict in self.verdicts), self.total])

    def _repr_html_(self) -> str:
        lines = "".join(verdict._repr_html_() for verdict in self.verdicts)
        return f'<div class="labkit-grade">{lines}<p><b>{html.escape(self.total)}</b></p></div>'


def grade(mesh: Mesh) -> Grade:
    """Judges all ten wishes, which takes some seconds.

    >>> grade(mesh).total
    '7 of 10'
    """
    return Grade(tuple(judge(mesh, number) for number in range(1, len(WISHES) + 1)))
