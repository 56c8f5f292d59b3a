"""How long PostgreSQL may take: bounds that the server keeps, and one of our own for a server that can keep none.

A server that is stopped cancels nothing, while its kernel goes on to acknowledge what it is sent: to the network all looks well. So
whoever waits counts the seconds without a word (`patient.py`), some more than the server has for the statement; one that lives would have
cancelled it by then, and said so.
"""

from dataclasses import dataclass
from typing import Literal

SLACK = 10.0
"""Seconds more than a statement may take, after which a server that has said nothing counts as away."""
PING = 10.0
"""The same between transactions, where a connection is only asked whether it lives."""


@dataclass(frozen=True)
class Bounds:
    """Of one transaction, in seconds; small ones cost little, since what is cut off is asked again."""

    lock: float
    """That a statement may wait for a lock of somebody else's."""
    statement: float
    """That a statement may take, such waits included."""

    @property
    def silence(self) -> float:
        """That nothing at all may come from the server."""
        return self.statement + SLACK

    @property
    def idle(self) -> float:
        """That the server waits for us in the middle of a transaction: one of a process that was stopped must not lock others out."""
        return 2 * self.statement


Kind = Literal["brief", "whole", "schema"]
BOUNDS: dict[Kind, Bounds] = {
    "brief": Bounds(lock=10, statement=30),
    "whole": Bounds(lock=30, statement=600),
    "schema": Bounds(lock=600, statement=3600),
}
"""Brief: a few rows by their keys, which take milliseconds: all that a driver writes, and what it asks in between.

Whole: a study read or moved, of which a million rows take seconds, and a minute on a crowded machine. Schema: its steps, which rewrite
tables and index them; who comes second waits for who came first.
"""
