"""Packets into a container: the film's by its frames' times, the others' moved with it."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from multiaxis.video.av import load
from multiaxis.video.outline import Window


@dataclass
class Times:
    """When the frames of a film are shown.

    Attributes
    ----------
    unit : Fraction
        Seconds.
    shown : list of int
        In units.
    length : int
        Of the last frame, in units.
    """

    unit: Fraction
    shown: list[int] = field(default_factory=list[int])
    length: int = 1

    def lasts(self, place: int) -> int:
        """Give how long a frame is shown, in units."""
        if place + 1 < len(self.shown):
            return self.shown[place + 1] - self.shown[place]
        return self.length


@dataclass
class Muxed:
    """What became of packets.

    Attributes
    ----------
    counts : Counter of int
        Packets of each copied stream, by its index in the source.
    repaired : Counter of int
        Of them, those whose times went back and were moved on.
    frames : int
        Of the film.
    """

    counts: Counter[int] = field(default_factory=Counter[int])
    repaired: Counter[int] = field(default_factory=Counter[int])
    frames: int = 0


def mux(
    given: Any,
    made: Any,
    film: tuple[Any, Iterable[Any], Times],
    others: dict[int, Any],
    window: Window,
    most: int | None = None,
) -> Muxed:
    """Write packets in the order of their times.

    Parameters
    ----------
    given, made : av.container
        Source and output; the output's header is written.
    film : av.VideoStream, iterable of av.Packet, Times
        The output's stream, one packet for each frame, and the frames' times.
    others : dict of int to av.stream.Stream
        The output's copied streams by their indices in the source.
    window : Window
    most : int, optional
        Packets of the source after which to stop.
    """
    done = Muxed()
    stream, packets, times = film
    sources = (_film(packets, stream, times, window), _copied(given, others, window, done, most))
    for _, _, packet, index in heapq.merge(*sources, key=lambda item: item[:2]):
        made.mux(packet)
        if index is None:
            done.frames += 1
        else:
            done.counts[index] += 1
    return done


_Item = tuple[float, int, Any, int | None]


def _film(packets: Iterable[Any], stream: Any, times: Times, window: Window) -> Generator[_Item]:
    shift, unit, last = window.units(times.unit), stream.time_base, None
    early = 0
    for place, packet in enumerate(packets):
        # Encoders here look at no later frames: frames are decoded in the order they are shown in.
        # Halves go down: frames that lie between two counted places stay as far apart as they are.
        at = math.ceil((times.shown[place] - shift) * times.unit / unit - Fraction(1, 2)) - early
        if place == 0 and at == 1 and stream.container.format.name == "avi":
            early, at = 1, 0  # AVI begins with a frame, and would have an empty one behind it
        at = at if last is None else max(at, last + 1)  # rounded onto each other
        last = packet.pts = packet.dts = at
        packet.duration = max(1, round(times.lasts(place) * times.unit / unit))
        packet.time_base, packet.stream = unit, stream
        yield float(at * unit), 0, packet, None


def _copied(
    given: Any, others: dict[int, Any], window: Window, done: Muxed, most: int | None
) -> Generator[_Item]:
    streams = [stream for stream in given.streams if stream.index in others]
    if not streams:
        return
    picture = load().stream.Disposition.attached_pic
    clocks: dict[int, int] = {}
    for packet in _timed(itertools.islice(given.demux(streams), most)):
        source = packet.stream
        if source.disposition & picture:
            packet.pts = packet.dts = 0
        elif source.type == "video" and not packet.is_keyframe and source.index not in clocks:
            continue  # a film that is copied from its middle begins with what can be decoded
        elif not _place(packet, source, window, clocks.get(source.index)):
            continue
        if _wind(packet, source, clocks):
            done.repaired[source.index] += 1
        packet.stream = others[source.index]
        yield float(packet.dts * packet.time_base), 1, packet, source.index


def _timed(packets: Iterable[Any]) -> Generator[Any]:
    """Give decoding times to films' first packets, which some containers leave out."""
    waiting: dict[int, list[Any]] = {}
    for packet in packets:
        index = packet.stream.index
        held = waiting.setdefault(index, [])
        is_end = packet.dts is None and packet.pts is None and not packet.size
        if packet.stream.type == "video" and packet.dts is None and not is_end:
            held.append(packet)
            continue
        times: list[int] = [one.pts for one in held if one.pts is not None]
        known: int = min(times, default=0) if packet.dts is None else packet.dts
        for place, one in enumerate(held):
            one.dts = known - (len(held) - place) * max(1, one.duration or 1)
        yield from held
        held.clear()
        if not is_end:
            yield packet
    for held in waiting.values():
        yield from held


def _place(packet: Any, source: Any, window: Window, last: int | None) -> bool:
    """Move a packet to the output's clock; tell whether it lies in the part that is kept."""
    unit, shift = packet.time_base, window.units(packet.time_base)
    known = [at for at in (packet.pts, packet.dts) if at is not None]
    pts: int = known[0] if known else shift + (0 if last is None else last + 1)
    dts: int = known[-1] if known else pts
    first, until = pts, pts + (packet.duration or 0)
    if source.type == "subtitle" and packet.duration:  # one that is seen on the edge is cut
        if window.first is not None and until * unit > window.first:
            first = max(pts, math.ceil(window.first / unit))
        if window.last is not None:
            until = min(until, math.floor(window.last / unit))
        packet.duration = max(1, until - first)
    if not window.holds(first * unit):
        return False
    packet.pts, packet.dts = first - shift, dts + first - pts - shift
    return True


def _wind(packet: Any, source: Any, clocks: dict[int, int]) -> bool:
    """Keep a stream's clock going on, as containers demand; tell whether it had gone back."""
    least = clocks.get(source.index)
    if least is not None:
        least += source.type not in ("subtitle", "data")  # those may come at the same time
    went_back = least is not None and packet.dts < least
    if least is not None and went_back:
        packet.dts = least
    packet.pts = max(packet.pts, packet.dts)
    clocks[source.index] = packet.dts
    return went_back
