"""The steps of the archive's schema, by subject; `schema.py` has them in their order.

A step is never changed once released, only followed by another.
"""
