"""One reason to refuse a panel file, in words."""

from dataclasses import dataclass

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Problem:
    """Where it is, what was asked for there, what was found, and what to do."""

    where: str
    asked: str
    found: str
    do: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.asked}; found {self.found}; {self.do}."
