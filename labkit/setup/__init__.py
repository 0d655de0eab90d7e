"""How to get a cluster with Istio, and how to give it back: tools, drivers, Minikube, installers,
removal.
"""
