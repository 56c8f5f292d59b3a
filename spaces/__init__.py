"""What may be tried: axes, spaces, model shapes and records as plain frozen values."""
