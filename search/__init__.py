"""Who tries what next, and what is remembered: the brain, the ledger, the cluster, the mirror and the commands."""
