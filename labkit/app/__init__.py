"""The hello-world service that the lessons run, locally as a process and on a cluster from a
ConfigMap.

`python -m labkit.app` writes its files into manifests/hello-world.yaml, so that there is one copy
to edit.
"""

CONTROL_PORT = 8081
"""Where its controls listen in a pod, on the pod's own loopback."""
TOKEN_HEADER = "x-labkit-token"
"""The header that carries LABKIT_CONTROL_TOKEN, where that is set."""
FILES = {"app.py": "hello_world.py", "server.py": "server.py", "wire.py": "wire.py"}
"""The keys of the ConfigMap, in its order, and the file here that each one is."""
