"""The one record of every study, who holds the lease on it, and how it is read. The only folder that imports sqlalchemy."""
