"""The gateway: the server's one port. Clients' WebSockets, HTTP for programs and vendors, and nothing decided here."""
