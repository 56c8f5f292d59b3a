"""What is kept is looked after: a study checked against its adapters and its mirror, what nothing names cleared away, studies moved."""
