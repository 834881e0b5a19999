"""The gateway: the server's one port. Clients' WebSockets, HTTP for programs and vendors, and nothing decided here.

server            puts it together: peers is what it needs of the rest, services what it gives its handlers
listener          uvicorn on the one port
  bounded         its protocols' bounds

websockets        agents' clients, and channels' gateways
http              who may, in which form
  incoming        events by HTTP, and the quarantine
  reads           what is known
  operations      for operators and business owners
  health          how the server is

failures          a bug met on a client's behalf
"""
