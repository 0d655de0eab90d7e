"""The hello-world service that the lessons run, locally as a process and on a cluster from a
ConfigMap.

`python -m labkit.app` writes its source into manifests/hello-world.yaml, so that there is one copy
to edit.
"""
