"""Mutants: faults that are planted in the real classes, one at a time, to show that the checks see them.

Each is a small function that replaces a method or two while it is planted. A mutant that no seed catches means that a
check is missing. `known.py` says which seed caught each one last.
"""
