"""Reports: a scenario's result for people.

report      tables; plot: plots
  archive, context, counting, decide, latency, memory, merge, placement, policy, recovery, throughput
"""
