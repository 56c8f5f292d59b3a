"""What was found: records in, tables, plots and pages out."""
