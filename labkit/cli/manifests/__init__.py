"""The commands that read manifests: validate, lint, translate, explain."""
