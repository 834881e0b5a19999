"""Who lives: the conversation, the journey, and the shells that run them (cell, journal, archive, outbox).

Decisions are pure functions; shells are plain async classes that get their lines, stores and clock from outside.
"""
