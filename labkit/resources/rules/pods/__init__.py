"""The rules for pods: their containers and volumes."""
