"""YAML as its author wrote it: documents with their lines, edits that keep comments, loading and
dumping.
"""
