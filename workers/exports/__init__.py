"""Adapters as files: our own format, PEFT's, or a merged model, each proven by reloading it."""

from .export import Exported, export, formats
from .use import Predictor, evaluate, load_export

__all__ = ["Exported", "Predictor", "evaluate", "export", "formats", "load_export"]
