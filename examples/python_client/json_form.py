"""What JSON cannot say, as docs/wire_format.md has it: {"$bytes": base64}, {"$text": base64}, {"$float": "nan"}."""

import base64
import math
import re

_TAG = re.compile(r"\$+(bytes|text|float|text:.*)", re.DOTALL)
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def _escaped(text: str) -> bool:
    """Whether the text was not UTF-8 (see msgpack.py)."""
    return any("\udc80" <= c <= "\udcff" for c in text)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def _text(data: str) -> str:
    return base64.b64decode(data, validate=True).decode("utf-8", "surrogateescape")


def to_json(value):
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, str) and _escaped(value):
        return {"$text": _base64(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {_key_to_json(key): to_json(item) for key, item in value.items()}
    return value


def _key_to_json(key: str) -> str:
    if _escaped(key):
        return "$text:" + _base64(key)
    return "$" + key if _TAG.fullmatch(key) else key


def from_json(value):
    """ValueError for a tag with a wrong content."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (key, content), = value.items()
        try:
            if key == "$bytes":
                return base64.b64decode(content, validate=True)
            if key == "$text":
                return _text(content)
            if key == "$float":
                return _FLOATS[content]
        except (TypeError, ValueError, KeyError):
            raise ValueError(f"a wrong content for '{key}'") from None
    return {_key_from_json(key): from_json(item) for key, item in value.items()}


def _key_from_json(key: str) -> str:
    if not _TAG.fullmatch(key):
        return key
    if key.startswith("$$"):
        return key[1:]
    if key.startswith("$text:"):
        return _text(key[6:])
    raise ValueError(f"'{key}' must stand alone in its object")
