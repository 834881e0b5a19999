"""What is said: entities, inbound events, journal events, commands, frames, codec, connection state machines.

Everything here is pure: no I/O, no clock, no randomness, no logging, and no import of another package of ours.
"""
