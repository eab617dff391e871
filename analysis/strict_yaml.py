"""YAML in which a key written twice is an error, where it would silently win."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from analysis.errors import DataError


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load(path: Path) -> dict[str, Any]:
    """Read a file of keys and values.

    Raises
    ------
    DataError
        If there is no such file, it is not YAML in UTF-8, a key comes twice, or it holds anything but keys and values.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise DataError(f"{path}: a YAML file was asked for; there is none; check the name") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: a YAML file was asked for; it cannot be read ({error}); mend that line") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise DataError(f"{path}: keys and values were asked for; found {content!r:.60}; write `key: value` lines")
    return content
