"""Training rules, one file each: how the flat vector of a pack moves from one step to the next."""
