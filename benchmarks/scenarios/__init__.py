"""Scenarios: each runs by a plan and returns a result.

A server       throughput, latency, memory, recovery, placement; sustained: the highest rate
Beside events  context, policy, merge
Parts alone    archive_follow, decide, counting
"""
