"""Rules: what business owners write, one file a subject.

policy            all of them, as the value that decisions get; policies: its versions
  capture, context, correlation, handoffs, identity, report, retention, taxonomy

  names           the names that owners give
  patterns        the regular expressions they write; expressions, cel_library: where a pattern is not enough
accounts          which accounts there are under a policy, and what fits through one
"""
