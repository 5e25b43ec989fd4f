"""The smallest verb: the size of a file as its record."""

from __future__ import annotations

from multiaxis.batch import Runner, Verb, Wording


class Size(Verb, Runner[bytes]):
    wording = Wording("measure", "measuring", "measured", "file")
    columns = ("bytes",)

    def load(self, on_progress: object = None) -> Size:
        return self

    def run(self, item: bytes, on_progress: object = None) -> dict[str, int]:
        return {"bytes": len(item)}
