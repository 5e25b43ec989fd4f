"""XMP packets: taking out what would point to nothing, and what JPEG files split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias
from xml.dom import minidom
from xml.parsers.expat import ExpatError

_CONTAINERS = (
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/dd/1.0/container/",
)
_GAIN_MAPS = ("http://ns.adobe.com/hdr-gain-map/1.0/", "http://ns.apple.com/HDRGainMap/1.0/")
_DEVICE = "http://ns.google.com/photos/dd/1.0/device/"
_CAMERA = "http://ns.google.com/photos/1.0/camera/"
_NOTE = "http://ns.adobe.com/xmp/note/"
_BASIC = "http://ns.adobe.com/xap/1.0/"
_TERMS = "http://purl.org/dc/terms/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RATING = (_BASIC, "Rating")
_OFFSET = (_CAMERA, "MicroVideoOffset")  # from the end of the file
_HAS_EXTENSION = (_NOTE, "HasExtendedXMP")
_FILM = ("MotionPhoto", "MicroVideo")
# Bytes that are in any packet that there is something to take out of.
_HINTS = (
    b"photos/1.0/container", b"photos/dd/1.0", b"hdr-gain-map", b"HDRGainMap", b"MotionPhoto",
    b"MicroVideo", b"Thumbnails", b"provenance",
)  # fmt: skip
_SHORT = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}"><rdf:Description '
    'rdf:about="" xmlns:xmpNote="{note}" xmpNote:HasExtendedXMP="{guid}"/></rdf:RDF></x:xmpmeta>'
)
_EMPTY = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description '
    'rdf:about=""/></rdf:RDF></x:xmpmeta>'
).encode()
_MOST = 65_502  # bytes of a packet in one JPEG segment
_LARGEST = 100_000  # marks of a packet that is taken apart
_DEEPEST = 100  # elements inside each other; real packets have about 10

Name: TypeAlias = tuple[str, str]
"""Namespace and local name."""


@dataclass(frozen=True)
class Kept:
    """What an output keeps of that which a packet may point to.

    Attributes
    ----------
    film : int or None
        Bytes from the start of the film to the end of the file; 0 where that is as it was; None
        where there is no film.
    pictures : bool
        Whether gain maps, depth maps and other second pictures are there.
    credentials : bool
        Whether content credentials are there.
    """

    film: int | None = None
    pictures: bool = False
    credentials: bool = False


def mend_xmp(xmp: bytes, kept: Kept) -> bytes | None:
    """Take out of a packet what would point to nothing, and its thumbnails.

    Returns
    -------
    bytes or None
        The same bytes where there is nothing to mend; None where a packet that points to
        something cannot be understood.
    """
    if not any(hint in xmp for hint in _HINTS):
        return xmp
    document = _parsed(xmp)
    if document is None:
        return None
    mended = _mend_directories(document, kept)
    mended |= _remove(document, lambda name: _is_stale(name, kept))
    if kept.film:
        mended |= _put(document, _OFFSET, str(kept.film))
    if mended:
        _forget_unused(document)
    return _written(document) if mended else xmp


def split_xmp(xmp: bytes | None, extension: bytes | None) -> tuple[bytes | None, bytes | None]:
    """Bring a packet and its extension into what JPEG segments hold.

    Returns
    -------
    tuple of bytes or None
        The packet, with the digest of the extension in its note; and the extension.
    """
    if xmp and len(xmp) > _MOST and not extension:
        extension, xmp = without_packet(xmp), None
    if not extension:
        return xmp, None
    guid = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    if xmp and guid.encode() in xmp:
        return xmp, extension
    document = _parsed(xmp) if xmp else None
    if document and any(True for _ in _find(document, _HAS_EXTENSION)):
        _put(document, _HAS_EXTENSION, guid)
        return _written(document), extension
    return _SHORT.format(rdf=_RDF, note=_NOTE, guid=guid).encode(), extension


def join_xmp(xmp: bytes, extension: bytes) -> bytes | None:
    """Merge a packet with its extension, for files that do not split it.

    Returns
    -------
    bytes or None
        None where one of them cannot be understood.
    """
    main, more = _parsed(xmp), _parsed(extension)
    if main is None or more is None:
        return None
    targets = main.getElementsByTagNameNS(_RDF, "RDF")
    sources = more.getElementsByTagNameNS(_RDF, "RDF")
    if not targets or not sources:
        return None
    _remove(main, lambda name: name == _HAS_EXTENSION)
    around = [sources[0], *_children(more)]
    for child in _children(sources[0]):
        for attribute in (found for element in around for found in _attributes(element)):
            if attribute.name.startswith("xmlns") and not child.hasAttribute(attribute.name):
                child.setAttribute(attribute.name, attribute.value)
        targets[0].appendChild(main.importNode(child, deep=True))
    return _written(main)


def without_extension(xmp: bytes) -> bytes:
    """Return a packet that asks for no extension."""
    document = _parsed(xmp) if b"HasExtendedXMP" in xmp else None
    if document is None or not _remove(document, lambda name: name == _HAS_EXTENSION):
        return xmp
    return _written(document)


def extension_guid(xmp: bytes | None) -> str | None:
    """Read which extension a packet asks for."""
    document = _parsed(xmp) if xmp and b"HasExtendedXMP" in xmp else None
    found = _find(document, _HAS_EXTENSION) if document else iter(())
    return next((value.strip() for _, value in found), None)


def semantics(xmp: bytes | None) -> list[tuple[str, str]]:
    """List meaning and content type of what a packet says follows the first picture."""
    document = _parsed(xmp) if xmp and b"container" in xmp else None
    listed: list[tuple[str, str]] = []
    for directory in _directories(document) if document else ():
        listed += [(_item(row, "Semantic"), _item(row, "Mime")) for row in _rows(directory)[1:]]
    return listed


def find_value(xmp: bytes | None, name: Name) -> str | None:
    """Read a property, as element or attribute; None where there is none, or damage."""
    document = _parsed(without_packet(xmp)) if xmp and name[1].encode() in xmp else None
    return next((text.strip() for _, text in _find(document, name)), None) if document else None


def put_value(xmp: bytes | None, name: Name, prefix: str, value: str) -> bytes | None:
    """Give a property a value, and keep everything else.

    Parameters
    ----------
    xmp : bytes or None
        A packet; None makes a new one.
    name : (str, str)
        Namespace and local name.
    prefix : str
        For a namespace that is not declared yet.
    value : str

    Returns
    -------
    bytes or None
        None where the packet cannot be understood.
    """
    document = _parsed(_EMPTY if xmp is None else without_packet(xmp))
    if document is None:
        return None
    if any(True for _ in _find(document, name)):
        _put(document, name, value)
        return _written(document)
    about = document.getElementsByTagNameNS(_RDF, "Description")
    if not about:
        return None
    about[0].setAttribute(f"xmlns:{prefix}", name[0])
    about[0].setAttributeNS(name[0], f"{prefix}:{name[1]}", value)
    return _written(document)


def without_packet(xmp: bytes) -> bytes:
    """Return a packet's content without what wraps and pads it."""
    start = xmp.find(b"<x:xmpmeta")
    end = xmp.rfind(b"</x:xmpmeta>")
    return xmp[start : end + 12] if 0 <= start < end else xmp


def _parsed(xmp: bytes) -> minidom.Document | None:
    if b"<!DOCTYPE" in xmp or b"<!ENTITY" in xmp:  # XMP has none, attacks need them
        return None
    if xmp.count(b"<") > _LARGEST:
        return None
    try:
        document = minidom.parseString(xmp.strip(b"\0 \r\n\t"))  # noqa: S318 (as above)
    except (ExpatError, ValueError, LookupError):
        return None
    level: list[minidom.Element] = _children(document)
    for _ in range(_DEEPEST):
        level = [child for node in level for child in _children(node)]
    return None if level else document


def _children(node: minidom.Document | minidom.Element) -> list[minidom.Element]:
    return [child for child in node.childNodes if isinstance(child, minidom.Element)]


def _written(document: minidom.Document) -> bytes:
    return "".join(node.toxml() for node in document.childNodes).encode()


def _elements(document: minidom.Document) -> Iterator[minidom.Element]:
    """Walk over all elements, parents first."""
    left = _children(document)
    while left:
        here = left.pop()
        yield here
        left += reversed(_children(here))


def _attributes(node: minidom.Element) -> list[minidom.Attr]:
    return list(node.attributes.values())


def _name(node: minidom.Element | minidom.Attr) -> Name:
    return node.namespaceURI or "", node.localName or ""


def _find(document: minidom.Document, name: Name) -> Iterator[tuple[minidom.Element, str]]:
    """Find where a property stands, as element or attribute of an element, and its value."""
    for element in _elements(document):
        if _name(element) == name:
            yield element, _text(element)
        if element.hasAttributeNS(*name):
            yield element, element.getAttributeNS(*name)


def _text(element: minidom.Element) -> str:
    texts = (node.data for node in element.childNodes if isinstance(node, minidom.Text))
    return "".join(texts).strip()


def _put(document: minidom.Document, name: Name, value: str) -> bool:
    """Give a property another value wherever it stands; tell whether that changed anything."""
    found = [(element, text) for element, text in _find(document, name) if text.strip() != value]
    for element, _ in found:
        if element.hasAttributeNS(*name):
            attribute = element.getAttributeNodeNS(*name)
            element.setAttributeNS(name[0], attribute.name if attribute else name[1], value)
        else:
            while element.firstChild is not None:
                element.removeChild(element.firstChild)
            element.appendChild(document.createTextNode(value))
    return bool(found)


def _remove(document: minidom.Document, is_stale: Callable[[Name], bool]) -> bool:
    """Remove properties by name; tell whether there were any."""
    removed = False
    for element in list(_elements(document)):
        for attribute in _attributes(element):
            if is_stale(_name(attribute)):
                element.removeAttributeNode(attribute)
                removed = True
        if is_stale(_name(element)) and element.parentNode is not None:
            element.parentNode.removeChild(element)
            removed = True
    return removed


def _forget_unused(document: minidom.Document) -> None:
    """Remove declarations of namespaces that nothing is in any more."""
    elements = list(_elements(document))
    used = {_name(element)[0] for element in elements}
    used |= {_name(attribute)[0] for element in elements for attribute in _attributes(element)}
    for element in elements:
        for attribute in _attributes(element):
            if attribute.name.startswith("xmlns:") and attribute.value not in used:
                element.removeAttributeNode(attribute)


def _is_stale(name: Name, kept: Kept) -> bool:
    space, word = name
    if kept.film is None and word.startswith(_FILM):
        return True
    if not kept.pictures and (space in _GAIN_MAPS or space == _DEVICE):
        return True
    if not kept.credentials and name == (_TERMS, "provenance"):
        return True
    return name == (_BASIC, "Thumbnails")


def _directories(document: minidom.Document) -> list[minidom.Element]:
    names = [(space, "Directory") for space in _CONTAINERS]
    return [element for element in _elements(document) if _name(element) in names]


def _rows(directory: minidom.Element) -> list[minidom.Element]:
    """List the items of a directory; the first is the picture itself."""
    return [
        row for sequence in _children(directory) for row in _children(sequence)
        if _name(row) == (_RDF, "li")
    ]  # fmt: skip


def _item(row: minidom.Element, word: str) -> str:
    """Read a field of an item, which may be an attribute or an element at some depth."""
    left = [row]
    while left:
        here = left.pop()
        for attribute in _attributes(here):
            if attribute.localName == word:
                return attribute.value
        if here.localName == word:
            return _text(here)
        left += _children(here)
    return ""


def _mend_directories(document: minidom.Document, kept: Kept) -> bool:
    """Take out of the lists of what follows the picture what does not follow any more."""
    mended = False
    for directory in _directories(document):
        others = _rows(directory)[1:]
        stale = [row for row in others if not _is_kept(row, kept)]
        for row in stale:
            if row.parentNode is not None:
                row.parentNode.removeChild(row)
        if len(stale) == len(others) and directory.parentNode is not None:
            directory.parentNode.removeChild(directory)
            mended = True
        mended = mended or bool(stale)
    return mended


def _is_kept(row: minidom.Element, kept: Kept) -> bool:
    is_film = _item(row, "Mime").startswith("video/") or _item(row, "Semantic").startswith(_FILM)
    return kept.film is not None if is_film else kept.pictures
