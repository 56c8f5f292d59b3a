"""How a pack of trials is trained on one frozen model: torch, transformers, datasets and peft; no search, no database."""
