"""Stand-ins for providers, on loopback: for tests, and for `throughline demo`, which plays a customer's side.

A fake checks every request against the provider's documented shape, answers as the provider would, remembers what it
took, and fails when told to.
"""
