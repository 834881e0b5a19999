"""Figures: what is counted in a run.

ledger       when each event was sent, acknowledged and pushed; percentiles
tally        what the stores hold of it; lag: how far behind the archive is
processes    the server's CPU and memory; own_cpu: the load generator's
disk         what a sync costs
setting      what it was measured on; cautions: what makes it mean less
bars         what it is held to
phases       how far a run is
"""
