"""What was found: records in; tables, plots and pages out. No torch, no ray."""
