"""Context: what is known under a key, and how it stays known, by the rules of `actors/rules/context.py`. Pure.

knowing           a value that a source gives: whether it is taken, and which one stands
carrying          what a next conversation takes along
switching         what goes along to another channel
  bringing        what has to
  withholding     what may not
"""
