"""The PolicyPanel: controls beside the YAML that they change."""
