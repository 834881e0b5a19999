"""The journal's store.

rules           which units of a group are committed; merged_rules: who is a member of whom
schema          reads, file: what is read of the file, and what its one writer does to it
sqlite          sqlite_reader: for other processes
memory          memory_disk: what a power failure leaves
forgotten       what stays of the addresses of who was erased
"""
