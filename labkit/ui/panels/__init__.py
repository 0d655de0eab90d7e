"""Panels: controls beside what they change, in a notebook. A model in Python and a thin view in the
browser.
"""
