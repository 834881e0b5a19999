"""HTTP: who may, in which form, and how OpenAPI says it.

http              the routes put together
  access          tokens and scopes
  bodies          what answers say
  described       OpenAPI
"""
