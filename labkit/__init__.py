"""An interactive course on the traffic management of Istio."""
