"""The signature inside a session description: ECDSA-SHA256 over the C14N 2.0 form of the document without its ``signature`` element.

Much smaller than XML Signature on purpose: one algorithm, one place, the whole document, no references, no transforms named by the
document itself. So there is nothing to wrap, to redirect or to downgrade. Comments and processing instructions are refused rather than
ignored: canonical XML leaves comments out, and a reader that stops at one would read less than was signed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

from twsync.errors import FormatError


def attach(root: etree._Element, certificate: bytes, sign: Callable[[bytes], bytes]) -> None:
    """Sign the document and append the ``signature`` element.

    :param certificate: the signer's certificate in DER.
    :param sign: gives the DER signature (ECDSA with SHA-256) of bytes by the key of that certificate.
    """
    value = sign(canonical(root))
    namespace = etree.QName(root).namespace
    element = etree.SubElement(root, f"{{{namespace}}}signature")
    for name, data in (("certificate", certificate), ("value", value)):
        etree.SubElement(element, f"{{{namespace}}}{name}").text = base64.b64encode(data).decode()


def detach(root: etree._Element) -> bytes:
    """Verify the signature of a document that fits the schema, and take its ``signature`` element out.

    :returns: the signer's certificate in DER. Whether that is somebody one knows is the caller's question.
    :raises FormatError: the signature is not that of this document by the key of this certificate.
    """
    namespace = etree.QName(root).namespace
    element = root[-1]
    if element.tag != f"{{{namespace}}}signature" or element.tail:
        raise FormatError("a session description without a signature at its end")
    certificate = _base64(element[0].text or "")
    value = _base64(element[1].text or "")
    root.remove(element)
    key = _key(certificate)
    try:
        key.verify(value, canonical(root), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise FormatError("the signature of a session description does not fit it: it was altered on its way") from error
    return certificate


def canonical(root: etree._Element) -> bytes:
    """Canonical XML 2.0 of an element and what is in it."""
    form: bytes = etree.tostring(root, method="c14n2", with_comments=False)
    return form


def _key(certificate: bytes) -> ec.EllipticCurvePublicKey:
    """The public key of a device certificate."""
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FormatError("a session description with a damaged certificate") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise FormatError("a session description with a certificate that is not of a device (ECDSA P-256)")
    return key


def _base64(text: str) -> bytes:
    """Bytes of canonical base64: one text for one value."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError("a session description with damaged base64") from error
    if base64.b64encode(data).decode() != text:
        raise FormatError("a session description with base64 that is not canonical")
    return data
