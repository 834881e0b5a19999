"""Erasure: a person is forgotten, on a stopped server's files, or as it stops next.

erasing   a customer, with what accounts refused that names them
inputs    one of those inputs, which names nobody
files     what both read and change
pending   either of them waits for the server's next stop
"""
