"""Adapters as files: our own format, PEFT's, or a merged model, each proven by reloading it, now or at any later time."""

from .card import Card, is_export
from .export import Exported, export, formats
from .use import Predictor, evaluate, load_export
from .verify import Check, Verdict, verify

__all__ = ["Card", "Check", "Exported", "Predictor", "Verdict", "evaluate", "export", "formats", "is_export", "load_export", "verify"]
