"""The load: who connects to a server, and what they do by the clock.

server            of the run's own; resident: one that keeps everything in memory
loads             what scenarios with a load have in common
  server_load     gateway_client, pushing: events in; metronome: by the clock
  filling         live conversations, as fast as they are taken
  asking, crowd, watchers    machines that ask, agents who stay, and agents who live through faults
  wire            one WebSocket
relay             the yardstick; relay_load: the same load on it
"""
