"""A JSON array read element by element, so that its length does not decide on memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any, Final

BLOCK_BYTES: Final = 64 * 1024
BLANKS: Final = re.compile(r"[ \t\n\r]*")


def elements(file: IO[bytes], *, chars_max: int) -> Iterator[Any]:
    """The elements of the array that the file is.

    Args:
        file: UTF-8, with or without a byte order mark, read from where it stands.
        chars_max: an element may have this many characters.

    Raises:
        ValueError: not an array, not valid JSON, not UTF-8, or an element that is too long.
    """
    text = _Text(file, chars_max=chars_max)
    text.take("[")
    if text.peek() == "]":
        text.take("]")
    else:
        while True:
            yield text.value()
            if text.peek() != ",":
                break
            text.take(",")
        text.take("]")
    if text.peek():
        raise ValueError("something follows the array")


class _Text:
    """A window on the decoded file that moves along with what is read."""

    def __init__(self, file: IO[bytes], *, chars_max: int) -> None:
        self._file = file
        self._chars_max = chars_max
        self._decode_bytes = codecs.getincrementaldecoder("utf-8-sig")()
        self._decode_value = json.JSONDecoder().raw_decode
        self._window = ""
        self._position = 0
        self._is_at_end = False

    def peek(self) -> str:
        """The next character that is not blank; empty at the end of the file."""
        while True:
            blanks = BLANKS.match(self._window, self._position)
            assert blanks is not None, "no blanks are blanks too"
            self._position = blanks.end()
            if self._position < len(self._window) or not self._grow():
                return self._window[self._position : self._position + 1]

    def take(self, expected: str) -> None:
        """Skip the next character, which must be this one."""
        if self.peek() != expected:
            raise ValueError(f"{expected!r} expected")
        self._position += 1

    def value(self) -> Any:
        """The next value."""
        self.peek()
        while True:
            try:
                value, end = self._decode_value(self._window, self._position)
            except ValueError:
                if len(self._window) - self._position > self._chars_max or not self._grow():
                    raise
                continue
            # A number at the edge of the window may have more digits behind it.
            if end < len(self._window) or not self._grow():
                break
        if end - self._position > self._chars_max:
            raise ValueError("an element is too long")
        self._position = end
        return value

    def _grow(self) -> bool:
        """Move the window on by a block; False at the end of the file."""
        if self._is_at_end:
            return False
        block = self._file.read(BLOCK_BYTES)
        self._is_at_end = not block
        text = self._decode_bytes.decode(block, final=self._is_at_end)
        self._window = self._window[self._position :] + text
        self._position = 0
        return not self._is_at_end
