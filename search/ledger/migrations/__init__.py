"""The ledger's database: its tables, the steps that led to them, and how it is opened."""
