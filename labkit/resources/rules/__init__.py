"""What Kubernetes and Istio refuse: the schemas, and the rules that schemas can not say, a module a
kind.
"""
