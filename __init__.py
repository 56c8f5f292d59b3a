"""ulpt-search: the best adapters for a frozen language model under a cap on trainable parameters."""

__version__ = "0.1.0"
