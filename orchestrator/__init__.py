"""The server that puts it together: CLI, settings, cluster (the only home of `import ray`), gateway, client SDK.

gateway, channels    the edges: sockets, HTTP, SMTP, and what the server itself sends
  way_in             an event or a command, from there to its customer's cell and back
  cell_lines         how a cell is asked
pipes, storage       what carries, what keeps

parts                an actor with its lines and stores; one a process (`cluster`), or all in one loop (`inprocess`)
cluster              processes: placed by Ray, kept running, ended

bundles              policy files, read; `policy_desk` applies them, `policy_folder` watches them, `in_force` hears
report_desk          the report on lost context, made when it is due
feed                 committed events for other systems; `webhook_sender` brings them
erasing              a person is forgotten, on a stopped server's files

settings, tokens     what an operator sets, who may come in; `data_layout` names the files
cli, client, demo    for people, for programs, and for a first look
"""
