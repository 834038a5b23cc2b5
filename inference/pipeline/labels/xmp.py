"""XMP: IPTC's digital source type and the AIGC field of GB 45438 in one packet."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

_IPTC: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_TC260: Final = "http://www.tc260.org.cn/ns/AIGC/1.0/"
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_BYTES_MAX: Final = 256 * 1024
_FIELD_LENGTH_MAX: Final = 8 * 1024
_SOURCE_TYPE: Final = f"{{{_IPTC}}}DigitalSourceType"
_AIGC: Final = f"{{{_TC260}}}AIGC"


@dataclass(frozen=True, slots=True)
class XmpLabels:
    """What an XMP packet says; empty where it says nothing."""

    digital_source_type: str = ""
    aigc: dict[str, str] = field(default_factory=dict)


def packet(labels: XmpLabels) -> bytes:
    """The packet as it is written into files."""
    text = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        f'<rdf:RDF xmlns:rdf="{_RDF}">\n'
        f'<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{_IPTC}" xmlns:TC260="{_TC260}">\n'
        f"<Iptc4xmpExt:DigitalSourceType>{escape(labels.digital_source_type)}"
        "</Iptc4xmpExt:DigitalSourceType>\n"
        f"<TC260:AIGC>{escape(aigc_text(labels.aigc))}</TC260:AIGC>\n"
        "</rdf:Description>\n</rdf:RDF>\n</x:xmpmeta>\n"
        '<?xpacket end="w"?>'
    )
    return text.encode()


def parse(data: bytes) -> XmpLabels:
    """What a packet from anywhere says; one that cannot be read says nothing."""
    if not data or len(data) > _BYTES_MAX:
        return XmpLabels()
    try:
        root = fromstring(data.strip(b"\0 \r\n"))
    except (ParseError, DefusedXmlException, ValueError):
        return XmpLabels()
    found: dict[str, str] = {}
    for node in root.iter():
        # Programs write simple values as elements or as attributes, as they like.
        for name, value in ((node.tag, node.text), *node.attrib.items()):
            if name in (_SOURCE_TYPE, _AIGC) and value:
                found.setdefault(name, value.strip())
    return XmpLabels(
        digital_source_type=found.get(_SOURCE_TYPE, "")[:_FIELD_LENGTH_MAX],
        aigc=parse_aigc(found.get(_AIGC, "")),
    )


def aigc_text(aigc: dict[str, str]) -> str:
    """The AIGC field as it is written."""
    return json.dumps(aigc, ensure_ascii=False, separators=(",", ":"))


def parse_aigc(text: str) -> dict[str, str]:
    """The members of an AIGC field; empty where it is none."""
    if len(text) > _FIELD_LENGTH_MAX:
        return {}
    try:
        stored = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {name: value for name, value in stored.items() if isinstance(value, str)}
