"""XML that was made to harm."""

import tracemalloc

import pytest

from mvkt_ray.data.sources.hospital.xml_file import number_of, parse_xml, text_at
from mvkt_ray.errors import RecordingError

ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
BILLION_LAUGHS = f'<!DOCTYPE a [<!ENTITY e0 "ha">{ENTITIES}]><a>&e9;</a>'


@pytest.mark.parametrize(
    "text",
    [
        BILLION_LAUGHS,
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]><a/>',
        "<a>" * 100_000,
        f"<a>{'<b/>' * 110_000}</a>",
    ],
    ids=["billion laughs", "a file", "an address", "depth", "elements"],
)
def test_a_document_made_to_harm_is_refused(text: str) -> None:
    with pytest.raises(RecordingError) as caught:
        parse_xml(text.encode(), "a.xml", "a")
    assert caught.value.reason == "unsafe_xml"
    assert "passwd" not in str(caught.value)


def test_an_entity_that_would_grow_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RecordingError):
            parse_xml(BILLION_LAUGHS.encode(), "a.xml", "a")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_document_type_that_is_named_is_not_fetched() -> None:
    root = parse_xml(b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a><b> x </b></a>', "f", "a")
    assert text_at(root, "b") == "x"
    assert text_at(root, "c") == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"<a>", b"<a></b>", b"<b/>", b"\xff\xfe\x00", b'<?xml version="1.0" encoding="x"?><a/>'],
)
def test_what_is_no_such_xml_is_unreadable(content: bytes) -> None:
    with pytest.raises(RecordingError) as caught:
        parse_xml(content, "file.xml", "a")
    assert caught.value.reason == "unreadable"
    assert "file.xml" in str(caught.value)


def test_names_have_no_namespace() -> None:
    root = parse_xml(b'<x:a xmlns:x="urn:x" x:type="t"><x:b/></x:a>', "f", "a")
    assert (root.get("type"), [child.tag for child in root]) == ("t", ["b"])


@pytest.mark.parametrize(
    ("text", "value"), [("2.5", 2.5), (" 1e3 ", 1000), ("", None), (None, None), ("inf", None)]
)
def test_numbers_are_finite_or_none(text: str | None, value: float | None) -> None:
    assert number_of(text) == value
