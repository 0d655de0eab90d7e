"""What the lessons of this course are about: their exercises, the gallery's traps, the canary and
the capstone.
"""
