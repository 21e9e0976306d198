"""Names within a domain."""

from __future__ import annotations

import pytest

from twsync.errors import FormatError
from twsync.sip.uri import Domain, is_name, parse_name, quoted
from twsync.sip.values import URI

DOMAIN = Domain("example.org", ["sip.example.org", "192.0.2.1", "2001:db8::1"])


@pytest.mark.parametrize(
    ("text", "user", "device"),
    [
        ("sips:alice@example.org", "alice", None),
        ("sip:alice@EXAMPLE.ORG.:5060;transport=tcp", "alice", None),
        ("sip:%61lice@192.0.2.1", "alice", None),
        ("sip:alice@[2001:db8::1]:5061", "alice", None),
        ("sips:alice@example.org;gr=my%20laptop", "alice", "my laptop"),
        ("sips:alice@sip.example.org;GR=laptop", "alice", "laptop"),
        ("sips:alice@example.org;gr", "alice", None),
        ("sips:Alice@example.org", "Alice", None),
        ("sips:example.org", None, None),
        ("sips:alice@example.com;gr=x", None, None),
        ("tel:+123", None, None),
        ("sips:a%2Fb@example.org", None, None),
        ("sips:%00@example.org", None, None),
        ("sips:%FF@example.org", None, None),
    ],
)
def test_who_a_uri_names(text: str, user: str | None, device: str | None) -> None:
    uri = URI.parse(text)
    assert (DOMAIN.user(uri), DOMAIN.device(uri)) == (user, device)


def test_a_connections_own_address_can_be_an_alias() -> None:
    uri = URI.parse("sip:alice@10.0.0.1")
    assert DOMAIN.user(uri) is None
    assert DOMAIN.user(uri, ["10.0.0.1"]) == "alice"


def test_canonical_uris() -> None:
    assert DOMAIN.aor("alice") == "sips:alice@example.org"
    assert DOMAIN.gruu("alice", "my laptop") == "sips:alice@example.org;gr=my%20laptop"
    gruu = URI.parse(DOMAIN.gruu("b@b;=?", "größe & <x>"))
    assert (DOMAIN.user(gruu), DOMAIN.device(gruu)) == ("b@b;=?", "größe & <x>")
    with pytest.raises(FormatError):
        DOMAIN.gruu("alice", "a/b")


def test_names_for_people() -> None:
    assert parse_name("alice/laptop") == ("alice", "laptop")
    assert parse_name("laptop", "bob") == ("bob", "laptop")
    assert quoted("a/b c") == "a%2Fb%20c"
    for text in ("", "laptop", "/laptop", "alice/", "a/b/c", "alice/ x", "alice/..", "alice/" + "x" * 65, "alice/a\nb", "alice/\udc80"):
        with pytest.raises(FormatError):
            parse_name(text)
    assert is_name("x" * 64)
    assert not is_name("ä" * 33)
