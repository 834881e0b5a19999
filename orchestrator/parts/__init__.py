"""Parts: the actors of a server with their pipes and stores, one for each process of the table.

The same parts run in Ray actors (`orchestrator/cluster`) and in one event loop (`orchestrator/inprocess.py`): what
differs is the switchboard they meet by and the storage they stand on. They may start in any order, at the same time:
each waits for whom it needs, and each writer is there before its readers.

building                 a process's name → its part
  gateway, channels      front: both take input in
  cell, journal, archive, usher
surroundings             what each is given; ending: until when it runs

A part is a module of its own, imported by the process that hosts it and no other: a journal needs no web framework.
"""
