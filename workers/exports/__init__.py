"""Adapters as files that other programs load, checked by loading them."""
