"""The name of a Service's port decides whether Istio takes its traffic for HTTP; callers inside the
mesh notice.
"""

from __future__ import annotations

import pytest

from labkit.mesh import Mesh

pytestmark = pytest.mark.embedded

SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: hello-world, namespace: hello-world}}
spec: {{selector: {{app: hello-world}}, ports: [{{{name}port: 80, targetPort: 8080}}]}}
"""
TEAPOT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inside, namespace: hello-world}
spec: {hosts: [hello-world], http: [{directResponse: {status: 418}}]}
"""


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("name: http, ", 418),
        ("", 418),  # nothing said: the sidecar looks at the first bytes, and finds HTTP
        ("name: web, ", 418),
        ("name: tcp-web, ", 200),  # said to be no HTTP: no rule for HTTP acts on it
    ],
)
def test_a_rule_for_http_acts_where_the_port_may_be_http(
    mesh: Mesh, name: str, status: int
) -> None:
    mesh.apply(SERVICE.format(name=name))
    assert mesh.curl("http://hello-world/", n=2, source="client").codes == {200: 2}
    mesh.apply(TEAPOT)
    assert mesh.curl("http://hello-world/", n=2, source="client").codes == {status: 2}
    assert mesh.curl("http://test.example.com/", n=2).codes == {200: 2}
