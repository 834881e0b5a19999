"""Pipes: how the parts of a server reach each other, and what carries what they send.

switchboard   who listens, who dials whom: a part names its peers, and gets lines to them
lines         what an actor sends in one turn of its loop leaves together, by the rules of `protocol/pipe.py`
unix          between processes: sockets in a folder that only the owner can enter
memory        between parts of one process, without a socket
"""
