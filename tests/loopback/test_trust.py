"""Who is let in: wrong passwords, changed keys, foreign certificates, and bytes that mean nothing."""

from __future__ import annotations

import os
import random
import socket
import ssl

import psutil

from twsync.demo.commands import LOOPBACK


def data_port(host):
    """The port on which a running host takes data connections."""
    connections = psutil.Process(host.pid).net_connections(kind="tcp")
    (port,) = {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    return port


def until_closed(connection):
    """Read until the other side closes; what it sent."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except (ConnectionError, ssl.SSLError):
        pass
    return received


def still_in_service(world, laptop, desktop, write, same):
    """Everybody lives, and a session goes through."""
    for daemon in (world.server, laptop, desktop):
        daemon.require_alive()
    name, (here, there) = world.share(laptop, desktop)
    write(here, {"a.txt": "a"})
    laptop.sync(name, "desktop").expect(0)
    same(here, there)


def test_a_wrong_password(world, laptop, refused):
    """The host stays up and says why it is not connected; a session is refused by one sentence."""
    host = world.make("guest", password="wrong")
    with host:
        host.start()
        root = world.place / "guest-files"
        root.mkdir()
        host.add_collection("guests", root)
        sentence = refused(host.sync("guests", "desktop"))
        assert sentence
        status = host.twsync("status", "--json").expect(0).document
        assert status["server"]["connected"] is False
        host.require_alive()


def test_a_changed_device_key(world, laptop, write, same, refused, eventually):
    """The server holds a name to its first key, and so does every peer; both ask a person before they take another."""
    (old,) = world.start("phone")
    name, (here, there) = world.share(laptop, old)
    write(here, {"a.txt": "a"})
    laptop.sync(name, "phone").expect(0)
    old.stop()

    new = world.make("phone", folder="alice-phone-again")
    assert new.fingerprint != old.fingerprint
    new.add_collection(name, there)
    new.start()
    eventually(lambda: "key" in new.twsync("status").stdout.lower() or "403" in new.log.read_text())
    assert not new.connected()
    new.stop()

    world.server.ctl("device", "remove", "alice/phone").expect(0)
    new.start()
    new.wait_ready()
    write(here, {"b.txt": "b"})
    sentence = refused(laptop.sync(name, "phone"))
    assert "twsync trust" in sentence
    assert not (there / "b.txt").exists()
    laptop.twsync("trust", "alice/phone").expect(0)
    laptop.sync(name, "phone").expect(0, 3)
    same(here, there)
    new.stop()


def test_a_foreign_certificate_on_the_data_port(world, laptop, desktop, write, same):
    """A device that no INVITE announced gets nothing, whatever it says."""
    stranger = world.make("stranger")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["twsync/1"])
    for with_certificate in (False, True):
        if with_certificate:
            context.load_cert_chain(stranger.folder / "device" / "cert.pem", stranger.folder / "device" / "key.pem")
        try:
            with (
                socket.create_connection((LOOPBACK, data_port(desktop)), timeout=15) as plain,
                context.wrap_socket(plain, server_hostname="desktop") as secure,
            ):
                secure.sendall(b"\x00\x00\x00\x05\x01\x81\xa1a\x01")
                assert len(until_closed(secure)) < 1024
        except (ConnectionError, ssl.SSLError):
            continue
    still_in_service(world, laptop, desktop, write, same)


def test_garbage_on_the_ports(world, laptop, desktop, write, same):
    """Bytes that are no TLS, no SIP and no frames end the connection that brought them, and nothing else."""
    dice = random.Random(23)
    for port in (world.server.port, data_port(desktop)):
        for junk in (dice.randbytes(4096), b"GET / HTTP/1.1\r\n\r\n" * 50, b"\x16\x03\x01\xff\xff" + dice.randbytes(70_000)):
            with socket.create_connection((LOOPBACK, port), timeout=15) as plain:
                try:
                    plain.sendall(junk)
                    plain.shutdown(socket.SHUT_WR)
                except OSError:
                    continue
                until_closed(plain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    endless = b"INVITE sip:x SIP/2.0\r\n" + b"A: " + b"x" * 200_000
    lying = b"REGISTER sip:x SIP/2.0\r\nContent-Length: 999999999999\r\n\r\n"
    for junk in (os.urandom(100_000), endless, lying):
        with (
            socket.create_connection((LOOPBACK, world.server.port), timeout=15) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            try:
                secure.sendall(junk)
            except OSError:
                continue
            assert len(until_closed(secure)) < 4096
    still_in_service(world, laptop, desktop, write, same)
