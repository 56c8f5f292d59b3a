"""Who tries what next: a pure state machine over the records, without files, clocks or processes."""
