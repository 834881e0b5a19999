"""The load generator and its scenarios: `python -m benchmarks --help`.

commands      options in, a scenario run, its result out
  scenarios   what is measured, one a file
    load      a server, and the load on it
    inputs    what the load is made of, and the past that was there before
    figures   what is counted, what bounds it, and what makes it mean less
  reports     a result as a table, and as a plot
"""
