"""Why a request goes where it goes: listener, virtual host, route and what passed by, clusters,
endpoints and policy, each with the line of the YAML that it comes from.

Pure functions of a `Registry`: they judge Envoy's own messages, as `labkit.translate` makes them,
in the way in which Envoy judges them. A test sends the same requests through real Envoys.

>>> explain(registry_of(load("manifests/")), "GET http://test.example.com/v2")
"""

from labkit.explain.answers import Outcome
from labkit.explain.explaining import explain
from labkit.explain.explanation import Explanation
from labkit.explain.places import Place
from labkit.explain.steps import Step

__all__ = ["Explanation", "Outcome", "Place", "Step", "explain"]
