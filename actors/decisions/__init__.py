"""Decisions: one input and the journey's state in, facts out. Pure.

deciding      whom it asks: `actors.inbound`, `actors.commands`, `actors.identity`
  once        was it here before
  checks      may it be asked
  decision    what comes of it, as data
"""
