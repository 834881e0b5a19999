"""The server that puts it together: CLI, settings, cluster (the only home of `import ray`), gateway, client SDK.

gateway, channels    the edges: sockets, HTTP, SMTP, and what the server itself sends
  way_in             an event or a command, from there to its customer's cell and back
  cell_lines         how a cell is asked
pipes, storage       what carries, what keeps; following: reads that must see a write

parts                an actor with its lines and stores; one a process (`cluster`), or all in one loop (`inprocess`)
cluster              processes: placed by Ray, kept running, ended

bundles, policy      the policy's files, read; and brought into force
report               the report on lost context, made when it is due
feed                 committed events for other systems, fetched or brought
erasure              a person is forgotten

settings, tokens     what an operator sets, who may come in
data_layout          what lies in the data folder; whole_files: is written whole or not at all
cli, client, demo    for people, for programs, and for a first look
documents            the documents that are made from the types
"""
