"""Digest authentication of both sides."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twsync.sip.digest import Algorithm, Credentials, Outcome, Verifier, ha1
from twsync.sip.digestproof import parse_digest, response
from twsync.sip.message import Request, Response
from twsync.sip.nonces import Nonces
from twsync.sip.uri import Domain
from twsync.sip.values import URI

REALM = "example.org"
SECRET = b"s" * 32
TARGET = URI.parse("sips:example.org")
PASSWORDS = {"alice": "secret", 'o"b\\rien': "päss:word"}


def lookup(user: str, algorithm: Algorithm) -> str | None:
    return ha1(user, REALM, PASSWORDS[user], algorithm) if user in PASSWORDS else None


def refusal(verifier: Verifier, now: float = 1000.0, code: int = 401, *, stale: bool = False) -> Response:
    answer = Response(code, "Unauthorized")
    name = "WWW-Authenticate" if code == 401 else "Proxy-Authenticate"
    answer.headers.setlist(name, verifier.challenges(now, stale=stale))
    return answer


def attempt(verifier: Verifier, credentials: Credentials, now: float = 1000.0, method: str = "REGISTER", uri: URI = TARGET) -> Outcome:
    request = Request(method, uri)
    credentials.authorize(request, "cnonce-0123456789")
    return verifier.verify(request.headers.getlist("Authorization"), method, uri, lookup, now).outcome


@pytest.fixture
def verifier() -> Verifier:
    return Verifier(REALM, SECRET)


@pytest.fixture
def alice(verifier: Verifier) -> Credentials:
    credentials = Credentials("alice", "secret")
    assert credentials.challenged(refusal(verifier))
    return credentials


@pytest.mark.parametrize(
    ("algorithm", "proof"),
    [
        (Algorithm.MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm.SHA256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616(algorithm: Algorithm, proof: str) -> None:
    secret = ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm)
    nonce, cnonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    assert response(algorithm, secret, "GET", "/dir/index.html", nonce, "00000001", cnonce) == proof


def test_one_challenge_an_algorithm_the_strongest_first(verifier: Verifier) -> None:
    told = [parse_digest(value) for value in verifier.challenges(1000.0)]
    assert [one["algorithm"] for one in told if one] == ["SHA-256", "MD5"]
    assert all(one and one["qop"] == "auth" and one["realm"] == REALM and "stale" not in one for one in told)
    assert [one["stale"] for value in verifier.challenges(1000.0, stale=True) if (one := parse_digest(value))] == ["true", "true"]


def test_a_client_answers_with_the_strongest_and_goes_on_counting(verifier: Verifier, alice: Credentials) -> None:
    assert attempt(verifier, alice) is Outcome.ACCEPTED
    assert attempt(verifier, alice, method="INVITE", uri=URI.parse("sips:bob@example.org;gr=desk")) is Outcome.ACCEPTED
    request = Request("REGISTER", TARGET)
    alice.authorize(request, "c" * 16, "Proxy-Authorization")
    told = parse_digest(request.headers["Proxy-Authorization"])
    assert told is not None
    assert (told["algorithm"], told["nc"], told["qop"]) == ("SHA-256", "00000003", "auth")
    assert "qop=auth," in request.headers["Proxy-Authorization"]


@pytest.mark.parametrize("user", PASSWORDS)
@pytest.mark.parametrize("algorithm", Algorithm)
def test_every_algorithm_and_name_works(user: str, algorithm: Algorithm) -> None:
    verifier = Verifier(REALM, SECRET, [algorithm])
    credentials = Credentials(user, PASSWORDS[user])
    assert credentials.challenged(refusal(verifier))
    assert attempt(verifier, credentials) is Outcome.ACCEPTED


def test_a_wrong_password_and_an_unknown_user_look_the_same(verifier: Verifier) -> None:
    asked: list[tuple[str, Algorithm]] = []

    def watching(user: str, algorithm: Algorithm) -> str | None:
        asked.append((user, algorithm))
        return lookup(user, algorithm)

    for user in ("alice", "mallory"):
        credentials = Credentials(user, "wrong")
        credentials.challenged(refusal(verifier))
        request = Request("REGISTER", TARGET)
        credentials.authorize(request, "c" * 16)
        verdict = verifier.verify(request.headers.getlist("Authorization"), "REGISTER", TARGET, watching, 1000.0)
        assert (verdict.outcome, verdict.user) == (Outcome.REFUSED, user)
    assert asked == [("alice", Algorithm.SHA256), ("mallory", Algorithm.SHA256)]


def test_the_made_up_secret_of_an_unknown_user_opens_nothing(verifier: Verifier) -> None:
    secret = verifier._made_up("mallory", Algorithm.SHA256)
    assert secret == verifier._made_up("mallory", Algorithm.SHA256)
    assert secret != verifier._made_up("trent", Algorithm.SHA256)
    (challenge, *_) = [one for value in verifier.challenges(1000.0) if (one := parse_digest(value))]
    proof = response(Algorithm.SHA256, secret, "REGISTER", str(TARGET), challenge["nonce"], "00000001", "c")
    value = (
        f'Digest username="mallory", realm="{REALM}", nonce="{challenge["nonce"]}", uri="{TARGET}", response="{proof}", '
        'algorithm=SHA-256, cnonce="c", qop=auth, nc=00000001'
    )
    assert verifier.verify([value], "REGISTER", TARGET, lookup, 1000.0).outcome is Outcome.REFUSED


def test_an_expired_a_foreign_and_a_replayed_nonce_are_stale(verifier: Verifier, alice: Credentials) -> None:
    request = Request("REGISTER", TARGET)
    alice.authorize(request, "c" * 16)
    values = request.headers.getlist("Authorization")
    assert verifier.verify(values, "REGISTER", TARGET, lookup, 1000.0).outcome is Outcome.ACCEPTED
    assert verifier.verify(values, "REGISTER", TARGET, lookup, 1000.0).outcome is Outcome.STALE
    assert attempt(verifier, alice, now=1301.0) is Outcome.STALE
    assert attempt(Verifier(REALM, b"other" * 8), alice) is Outcome.STALE
    assert attempt(verifier, alice, now=990.0) is Outcome.STALE


def test_a_stale_challenge_is_answered_again_and_a_plain_one_is_not(verifier: Verifier, alice: Credentials) -> None:
    request = Request("REGISTER", TARGET)
    alice.authorize(request, "c" * 16)
    assert alice.challenged(refusal(verifier, stale=True), request)
    assert not alice.challenged(refusal(verifier), request)
    assert alice.challenged(refusal(verifier, code=407), Request("INVITE", TARGET))
    assert alice.challenged(refusal(verifier))
    alice.authorize(request, "c" * 16)
    assert not alice.challenged(refusal(verifier))


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (("qop=auth", "qop=auth-int"), Outcome.REFUSED),
        ((", qop=auth", ""), Outcome.REFUSED),
        (("nc=00000001", "nc=1"), Outcome.REFUSED),
        (("nc=00000001", "nc=00000002"), Outcome.REFUSED),
        (("cnonce=", "other="), Outcome.REFUSED),
        (('username="alice"', 'username="bob"'), Outcome.REFUSED),
        (('username="alice"', 'username="alice'), Outcome.REFUSED),
        (("qop=auth", "qop=auth, qop=auth"), Outcome.REFUSED),
        (('uri="sips:example.org"', 'uri="sips:elsewhere.org"'), Outcome.REFUSED),
        (("response=", "answer="), Outcome.REFUSED),
        (("algorithm=SHA-256", "algorithm=MD5"), Outcome.REFUSED),
        (("algorithm=SHA-256", "algorithm=SHA-512"), Outcome.MISSING),
        (('realm="example.org"', 'realm="other.org"'), Outcome.MISSING),
        (("Digest ", "Basic "), Outcome.MISSING),
        (("Digest ", "digest   "), Outcome.ACCEPTED),
        (("algorithm=SHA-256", 'algorithm="sha-256"'), Outcome.ACCEPTED),
    ],
)
def test_every_field_counts(verifier: Verifier, alice: Credentials, change: tuple[str, str], outcome: Outcome) -> None:
    request = Request("REGISTER", TARGET)
    alice.authorize(request, "c" * 16)
    value = request.headers["Authorization"]
    assert change[0] in value
    assert verifier.verify([value.replace(*change)], "REGISTER", TARGET, lookup, 1000.0).outcome is outcome


def test_the_method_and_the_uri_are_signed(verifier: Verifier, alice: Credentials) -> None:
    request = Request("REGISTER", TARGET)
    alice.authorize(request, "c" * 16)
    values = request.headers.getlist("Authorization")
    assert verifier.verify(values, "INVITE", TARGET, lookup, 1000.0).outcome is Outcome.REFUSED
    assert verifier.verify(values, "REGISTER", URI.parse("sips:bob@example.org"), lookup, 1000.0).outcome is Outcome.REFUSED
    assert verifier.verify(values, "REGISTER", URI.parse("sip:EXAMPLE.org"), lookup, 1000.0).outcome is Outcome.ACCEPTED


def test_the_bare_address_of_the_domain_passes_where_the_caller_allows_it(verifier: Verifier, alice: Credentials) -> None:
    domain = Domain(REALM, ["192.0.2.1"])
    for signed, outcome in (
        ("sip:192.0.2.1:5060", Outcome.ACCEPTED),
        ("sip:203.0.113.1", Outcome.REFUSED),
        ("sip:bob@192.0.2.1", Outcome.REFUSED),
    ):
        request = Request("REGISTER", URI.parse(signed))
        alice.authorize(request, "c" * 16)
        values = request.headers.getlist("Authorization")
        assert verifier.verify(values, "REGISTER", TARGET, lookup, 1000.0, domain.owns).outcome is outcome


def test_md5_can_be_switched_off() -> None:
    weak = Credentials("alice", "secret", algorithms=[Algorithm.MD5])
    strict = Verifier(REALM, SECRET, [Algorithm.SHA256])
    assert not weak.challenged(refusal(strict))
    assert weak.challenged(refusal(Verifier(REALM, SECRET)))
    assert attempt(strict, weak) is Outcome.MISSING


@pytest.mark.parametrize(
    "value",
    [
        'Digest realm="example.org", nonce="x"',
        'Digest realm="example.org", nonce="x", qop="auth-int"',
        'Digest realm="example.org", nonce="x", qop="auth", algorithm=SHA-512',
        'Digest realm="other.org", nonce="x", qop="auth"',
        'Digest realm="example.org", nonce="", qop="auth"',
        'Digest realm="example.org, nonce="x", qop="auth"',
        'Basic realm="example.org"',
        "Digest",
        "",
    ],
)
def test_a_challenge_that_is_none_is_not_answered(value: str) -> None:
    answer = Response(401, "Unauthorized")
    answer.headers.set("WWW-Authenticate", value)
    credentials = Credentials("alice", "secret", realm=REALM)
    assert not credentials.challenged(answer)
    request = Request("REGISTER", TARGET)
    assert not credentials.authorize(request, "c" * 16)
    assert request.headers.get("Authorization") is None


def test_a_stock_servers_challenge_is_answered_with_its_opaque() -> None:
    answer = Response(401, "Unauthorized")
    answer.headers.set("WWW-Authenticate", 'Digest realm="a, b", nonce="n,1", opaque="o\\"p", qop="auth-int, auth", stale=FALSE')
    credentials = Credentials("alice", "secret")
    assert credentials.challenged(answer)
    request = Request("REGISTER", TARGET)
    credentials.authorize(request, "c" * 16)
    told = parse_digest(request.headers["Authorization"])
    assert told is not None
    assert (told["realm"], told["nonce"], told["opaque"], told["algorithm"]) == ("a, b", "n,1", 'o"p', "MD5")
    credentials.forget()
    assert not credentials.authorize(request, "c" * 16)


def test_counts_may_come_out_of_order_within_the_window_but_once() -> None:
    nonces = Nonces(SECRET, 300.0, window=4, most=10)
    nonce = nonces.make(1.0)
    taken = [(count, nonces.accept(nonce, count, 1.0)) for count in (3, 1, 1, 2, 3, 9, 5, 6, 6, 0, 1 << 31)]
    assert taken == [
        (3, True),
        (1, True),
        (1, False),
        (2, True),
        (3, False),
        (9, True),
        (5, False),
        (6, True),
        (6, False),
        (0, False),
        (1 << 31, True),
    ]


def test_memory_is_bounded_and_what_was_forgotten_is_never_taken_again() -> None:
    nonces = Nonces(SECRET, 300.0, window=4, most=3)
    made = [nonces.make(float(second)) for second in range(6)]
    assert all(nonces.accept(nonce, 1, 10.0) for nonce in made)
    assert len(nonces) == 3
    assert [nonces.accept(nonce, 2, 10.0) for nonce in made] == [False, False, False, True, True, True]
    later = nonces.make(400.0)
    assert nonces.accept(later, 1, 400.0)
    assert len(nonces) == 1


def test_another_spelling_of_a_nonce_is_no_other_nonce() -> None:
    nonces = Nonces(SECRET, 300.0, window=4, most=3)
    nonce = nonces.make(1.0)
    assert nonces.accept(nonce, 1, 1.0)
    for spelling in (nonce + "=", nonce[:-1] + chr(ord(nonce[-1]) + 1), nonce.replace("-", "+"), " " + nonce):
        assert not nonces.accept(spelling, 1, 1.0)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Verifier(REALM, b"short")


@given(st.lists(st.integers(1, 40), max_size=60))
@settings(max_examples=100, deadline=None)
def test_no_count_is_ever_taken_twice(counts: list[int]) -> None:
    nonces = Nonces(SECRET, 300.0, window=8, most=4)
    nonce = nonces.make(1.0)
    taken = [count for count in counts if nonces.accept(nonce, count, 1.0)]
    assert len(taken) == len(set(taken))
    assert sorted(set(counts))[-1:] == sorted(taken)[-1:]


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_authorization_has_a_documented_outcome(text: str) -> None:
    verifier = Verifier(REALM, SECRET)
    for value in (text, "Digest " + text, f'Digest realm="{REALM}", username="alice", ' + text):
        assert verifier.verify([value], "REGISTER", TARGET, lookup, 1.0).outcome in (Outcome.MISSING, Outcome.REFUSED)
