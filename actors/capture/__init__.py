"""Capture: what each channel has to bring. Pure.

capturing         what an event has of what its channel's template wants, and what to do about the rest
  templates       which one an event falls under, and where each field is found
"""
