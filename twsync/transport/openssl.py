"""OpenSSL's functions and objects for the C core: their addresses, as pyOpenSSL and cryptography have them.

They are not public there: should a release rename them, or the C core be missing, :data:`openssl` is None.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar


class OpenSSL:
    """OpenSSL's functions for the C core.

    :raises ImportError, AttributeError: one of the parts is missing, or has another name.
    """

    _SIGNATURES: ClassVar = {
        "ssl_read": ("SSL_read", "int(*)(void *, void *, int)"),
        "ssl_write": ("SSL_write", "int(*)(void *, const void *, int)"),
        "ssl_get_error": ("SSL_get_error", "int(*)(const void *, int)"),
        "bio_read": ("BIO_read", "int(*)(void *, void *, int)"),
        "bio_over": ("BIO_new_mem_buf", "void *(*)(const void *, int)"),
        "bio_at_end": ("BIO_set_mem_eof_return", "long(*)(void *, int)"),
        "set_bio": ("SSL_set_bio", "void(*)(void *, void *, void *)"),
        "err_clear": ("ERR_clear_error", "void(*)(void)"),
    }

    def __init__(self) -> None:
        import cryptography.hazmat.bindings._rust as bindings

        from twsync.delta._core import ffi, lib

        theirs: Any = bindings._openssl
        self.ffi: Any = ffi
        self.lib: Any = lib
        self._theirs = theirs
        self.functions = ffi.new("twb_openssl *")
        for field, (name, kind) in self._SIGNATURES.items():
            setattr(self.functions, field, ffi.cast(kind, self._address(theirs.ffi.addressof(theirs.lib, name))))

    def _address(self, pointer: object) -> int:
        return int(self._theirs.ffi.cast("uintptr_t", pointer))

    def take(self, connection: Any) -> tuple[object, object]:  # noqa: ANN401 - its private parts have no types
        """The SSL object of a pyOpenSSL connection, and its BIO for what goes out.

        The one for what comes in is the C core's from now on; what is written into the one that the connection has instead goes nowhere.

        :raises AttributeError: they have other names.
        """
        lib = self._theirs.lib
        ssl, outgoing, _ = (
            self.ffi.cast("void *", self._address(each)) for each in (connection._ssl, connection._from_ssl, connection._into_ssl)
        )
        connection._into_ssl = self._theirs.ffi.gc(lib.BIO_new(lib.BIO_s_mem()), lib.BIO_free)
        return ssl, outgoing

    def give_back(self, connection: Any) -> None:  # noqa: ANN401 - as above
        """The connection reads by itself again, from an empty BIO."""
        lib = self._theirs.lib
        connection._into_ssl = lib.BIO_new(lib.BIO_s_mem())  # the SSL object's, as the one that it began with
        lib.SSL_set_bio(connection._ssl, connection._into_ssl, connection._from_ssl)


def _find() -> OpenSSL | None:
    if os.environ.get("TWSYNC_DELTA") == "pure":
        return None
    try:
        return OpenSSL()
    except (ImportError, AttributeError, TypeError, ValueError):
        return None


#: What the C core needs of OpenSSL; None: go Twisted's way.
openssl: OpenSSL | None = _find()
