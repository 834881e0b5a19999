"""Decisions: one input and the journey's state in, facts out. Pure.

deciding      whom it asks: `actors.inbound`, `actors.commands`, `actors.identity`, `actors.own_streams`
  once        was it here before
  decision    what comes of it, as data
"""
