"""Bounded: uvicorn's two protocols, with the bounds it has no setting for.

uvicorn (0.54) bounds neither a request's head, nor its trailers, nor the time a client takes over it, and counts
connections for HTTP only; of a WebSocket's handshake that its engine could not read it never hears, and lets whoever
sent it wait. What is refused here has the shape of every error, and is counted.

http              a connection until it is upgraded
  websocket       one that was
    config        what both go by, and count together
      unread      what waits to be read, of all
      strangers   who has shown no token, by address
"""
