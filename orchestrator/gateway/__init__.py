"""The gateway: the server's one port. Clients' WebSockets, HTTP for programs and vendors, and nothing decided here.

server              puts it together: peers is what it needs of the rest, services what it gives its handlers
listener            uvicorn on the one port; bounded: its bounds

WebSocket
  websocket         moves messages; connection, outgoing: what both kinds of clients have in common
  agents            hub, streams, backfill: conversations they watch; inboxes, told_rows: lists they watch
  gateway_clients   deliveries

HTTP
  http              access, answers, described: who may, in which form, and how OpenAPI says it
  posted_events     cloudevents; quarantine, replaying: what is refused is kept, and comes in after all
  webhooks          vendors'
  reads             archive_reads, gone, history, attachments, feed, taxonomy: what is known
  operations        imports, policy, reports, identity_reviews, erasures, webhook_operations: for operators
  health            troubles, webhook_troubles, metrics, figures: how the server is

failures            a bug met on a client's behalf
"""
