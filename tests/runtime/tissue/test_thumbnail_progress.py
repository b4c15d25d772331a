"""Progress of the thumbnail."""

from __future__ import annotations

from glandseg.runtime.tissue.thumbnail_progress import report_thumbnail


def test_slow_thumbnails_are_told_every_quarter_minute() -> None:
    said: list[str] = []
    times = iter([0.0, 5.0, 16.0, 16.0, 20.0, 40.0])
    advance = report_thumbnail(said.append, lambda: next(times))
    for done in (1, 2, 3):
        advance(done, 4)
    advance(4, 4)  # the end needs no line
    assert said == ["thumbnail: 50% of the slide read"]
