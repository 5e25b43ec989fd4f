"""Picture files to arrays and back: depth, profile, orientation and alpha are kept."""

from multiaxis.images.colour import as_file_has_it, seen_by_model
from multiaxis.images.compare import side_by_side
from multiaxis.images.convert import from_unit, grey_to_rgb, rgb_to_grey, to_unit
from multiaxis.images.find import Contents, list_pictures, walk_pictures
from multiaxis.images.formats import (
    FORMATS,
    READABLE_SUFFIXES,
    Format,
    check_holds,
    written_suffix,
)
from multiaxis.images.join import Frame
from multiaxis.images.outline import read_outline
from multiaxis.images.picture import Metadata, Picture
from multiaxis.images.pillow import check_pillow, from_pillow, to_pillow
from multiaxis.images.probe import probe_file, probe_picture
from multiaxis.images.read import (
    DEFAULT_MEGAPIXELS,
    Probe,
    decode_picture,
    probe_header,
    read_bytes,
    read_picture,
)
from multiaxis.images.several import Several, open_several
from multiaxis.images.write import (
    check_picture,
    check_place,
    check_write,
    encode_picture,
    put_file,
    write_picture,
)
from multiaxis.images.write_several import check_several, encode_several, write_several

__all__ = [
    "DEFAULT_MEGAPIXELS",
    "FORMATS",
    "READABLE_SUFFIXES",
    "Contents",
    "Format",
    "Frame",
    "Metadata",
    "Picture",
    "Probe",
    "Several",
    "as_file_has_it",
    "check_holds",
    "check_picture",
    "check_pillow",
    "check_place",
    "check_several",
    "check_write",
    "decode_picture",
    "encode_picture",
    "encode_several",
    "from_pillow",
    "from_unit",
    "grey_to_rgb",
    "list_pictures",
    "open_several",
    "probe_file",
    "probe_header",
    "probe_picture",
    "put_file",
    "read_bytes",
    "read_outline",
    "read_picture",
    "rgb_to_grey",
    "seen_by_model",
    "side_by_side",
    "to_pillow",
    "to_unit",
    "walk_pictures",
    "write_picture",
    "write_several",
    "written_suffix",
]
