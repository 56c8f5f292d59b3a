"""Names for plain values: equal for equal content on every machine."""

import hashlib
import json


def sha256_of_json(value: object) -> str:
    """Return the sha256 of a value that JSON can write; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
