"""Adapters as files: our own format, PEFT's, or a merged model, each proven by reloading it, now or at any later time."""

from .card import Card, is_export
from .export import Exported, export
from .forms import Forms, Reading, forms_of, reading_of
from .use import Predictor, evaluate, load_export
from .verify import Check, Verdict, verify

__all__ = [
    "Card", "Check", "Exported", "Forms", "Predictor", "Reading", "Verdict", "evaluate", "export", "forms_of", "is_export", "load_export",
    "reading_of", "verify",
]  # fmt: skip
