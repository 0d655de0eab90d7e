"""Whatever the rules and the proxy: there is an explanation, as text, as a page and as JSON."""

from __future__ import annotations

import json
import os
from collections import Counter

from labkit.errors import LabkitError
from labkit.explain.explaining import explain_at
from labkit.explain.proxies import Proxy
from labkit.resources import load
from labkit.translate import registry_of
from tests.generated.draw import PATHS, Draw
from tests.generated.rulesets import ruleset

SETS = 500 if os.environ.get("LABKIT_LONG") else 25
PORTS = (80, 80, 8080, 443, 81, 9080, 5000)


def test_there_is_an_explanation() -> None:
    kinds: Counter[str] = Counter()
    for number in range(SETS):
        draw = Draw(number)
        registry = registry_of(load(ruleset(draw)))
        hosts = ["test.example.com", "x.org"]
        hosts += [name for each in registry.services for name in (each.host, each.name)]
        hosts += [each.replace("*", "x") for vs in registry.virtual_services for each in vs.hosts]
        for pod in (None, *registry.pods[:2]):
            proxy = Proxy(registry, pod)
            try:
                proxy.config  # noqa: B018 - some rules are refused where they meet
            except LabkitError:
                continue
            for _ in range(4):
                path = draw.choice([each for each in PATHS if each.startswith("/")])
                url = f"http://{draw.choice(hosts)}:{draw.choice(PORTS)}{path}"
                found = explain_at(proxy, url, {"x-user": draw.choice(("jason", "a"))})
                kinds[found.outcome.kind] += 1
                assert repr(found).startswith("GET http://")
                assert found._repr_html_().count("<li>") >= len(found.steps) - len(
                    found.find("near miss")
                )
                assert json.loads(json.dumps(found.as_dict()))["outcome"]["kind"]
    assert {"tcp", "routed", "no listener", "no route"} <= kinds.keys()
