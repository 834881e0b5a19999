"""The server's own streams: those of two customers that nobody is. Pure.

applying    a version of the policy, in the stream of `policy`
findings    where context gets lost, and what a change brought, in that of `report`
"""
