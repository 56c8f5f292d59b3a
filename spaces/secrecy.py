"""What must not be shown: passwords and keys in URLs. Whatever is printed, logged, sent to MLflow or written goes through here first."""

import re

HIDDEN = "***"
_USER = re.compile(r"(?<=://)([^/@\s:]*):([^/@\s]+)@")
_OPTION = re.compile(r"(?i)\b([\w-]*(?:password|passwd|secret|token|apikey|api_key|access_key|sslkey))=([^&\s'\"]+)")


def masked(text: str) -> str:
    """Return the text with the password of every URL in it, and every option that names a secret, as `***`."""
    return _OPTION.sub(rf"\1={HIDDEN}", _USER.sub(rf"\1:{HIDDEN}@", text))
