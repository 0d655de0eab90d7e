"""Who gets a sidecar: our answer beside a real cluster's, for each recorded dry run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labkit.resources import load
from labkit.resources.injection import gets_sidecar
from labkit.translate import registry_of

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "injection.json").read_text()
)
INJECT = "sidecar.istio.io/inject"


def pod(labels: dict[str, Any], annotations: dict[str, Any], *, host: bool = False) -> Any:
    return {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {"hostNetwork": True} if host else {},
    }


def test_every_recorded_answer() -> None:
    wrong = []
    for namespace, label, annotation, host, answer in RECORDED["rows"]:
        one = pod(RECORDED["labels"][label], RECORDED["annotations"][annotation], host=host)
        if gets_sidecar("some", RECORDED["namespaces"][namespace], one) != answer:
            wrong.append((namespace, label, annotation, host, answer))
    assert len(RECORDED["rows"]) == 90
    assert wrong == []


@pytest.mark.parametrize(
    ("namespace", "labels", "annotations", "answer"),
    [
        # the label of a revision on the namespace asks for that istiod's sidecars
        ({"istio.io/rev": "default"}, {}, {}, True),
        ({"istio.io/rev": "canary"}, {}, {}, False),
        ({"istio.io/rev": "canary"}, {INJECT: "true"}, {}, False),
        ({"istio.io/rev": "default"}, {INJECT: "false"}, {}, False),
        # of both labels, `istio-injection` counts
        ({"istio.io/rev": "canary", "istio-injection": "enabled"}, {}, {}, True),
        ({"istio.io/rev": "default", "istio-injection": "disabled"}, {}, {}, False),
        ({"istio-injection": "Enabled"}, {INJECT: "true"}, {}, False),
        # an empty label hides the annotation, and says nothing itself
        ({"istio-injection": "enabled"}, {INJECT: ""}, {INJECT: "false"}, True),
        ({"istio-injection": "enabled"}, {INJECT: None}, {}, True),
        (None, {INJECT: "true"}, {}, True),
        (None, {}, {INJECT: "true"}, False),
    ],
)
def test_what_the_chart_and_the_webhook_say_besides(
    namespace: dict[str, str] | None,
    labels: dict[str, Any],
    annotations: dict[str, Any],
    answer: bool,
) -> None:
    assert gets_sidecar("some", namespace, pod(labels, annotations)) == answer


def test_kubernetes_own_namespaces_get_none() -> None:
    assert not gets_sidecar("kube-system", {"istio-injection": "enabled"}, pod({}, {}))


def test_the_translator_asks_the_same_question() -> None:
    for namespace, label, annotation, host, answer in RECORDED["rows"]:
        template = pod(RECORDED["labels"][label], RECORDED["annotations"][annotation], host=host)
        template["metadata"]["labels"] = {"app": "a", **template["metadata"]["labels"]}
        template["spec"]["containers"] = [{"name": "a", "image": "a"}]
        objects = load(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": "some", "labels": RECORDED["namespaces"][namespace]},
            },
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "a", "namespace": "some"},
                "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template},
            },
            strict=False,
        )
        assert registry_of(objects).pods[0].injected == answer
