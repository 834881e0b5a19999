"""Erasure: forgetting a person.

erasing           what of each fact goes, and what stays
journal_traces    where else a person stands, of what only the journal has still
"""
