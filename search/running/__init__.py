"""A search while it runs: the driver, its workers on Ray, and the supervisor that leaves nothing behind."""
