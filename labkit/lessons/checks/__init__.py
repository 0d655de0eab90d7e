"""Checks that can fail: what each looks at, how many requests it needs, how often it would be
wrong.
"""
