/* See bulk_api.h. What is encrypted before the socket takes it is less than two strokes, so a slow socket piles up nothing here. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bulk_api.h"

#ifndef _WIN32
#include <errno.h>
#include <sys/socket.h>
#endif

/* Constants of OpenSSL's ABI. */
enum { SSL_WANTS_READ = 2, TLS_RECORD = 16384, TLS_RECORD_OVERHEAD = 256 };

#ifdef MSG_NOSIGNAL
#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
#else
#define SEND_FLAGS MSG_DONTWAIT /* CPython ignores SIGPIPE anyway */
#endif

#ifdef _WIN32

twb_result twb_receive(twb_wire *wire, const twb_room *rooms, size_t count, size_t allowed, size_t *got) {
    (void)rooms, (void)count, (void)allowed;
    *got = 0;
    wire->failure = 0;
    return TWB_LOST;
}

twb_result twb_send(twb_wire *wire, const twb_piece *pieces, size_t count, size_t *taken) {
    (void)pieces, (void)count;
    *taken = 0;
    wire->failure = 0;
    return TWB_LOST;
}

#else

static int as_int(size_t n) { return n < INT32_MAX / 2 ? (int)n : INT32_MAX / 2; }

static twb_result failed(twb_wire *wire) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return TWB_AGAIN;
    wire->failure = errno;
    return TWB_LOST;
}

/* One stroke from the socket into the buffer, which OpenSSL has read to its end: it gets a BIO that reads there. (A BIO with memory of its own
 * would clear it and copy into it.) */
static twb_result take_in(twb_wire *wire, size_t *taken) {
    const twb_openssl *openssl = wire->openssl;
    ssize_t n;
    do n = recv(wire->socket, wire->buffer, wire->buffer_length / 2, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0) return failed(wire);
    if (!n) return TWB_EOF;
    *taken = (size_t)n;
    wire->received += (uint64_t)n;
    void *bio = openssl->bio_over(wire->buffer, (int)n);
    if (!bio) {
        wire->failure = ENOMEM;
        return TWB_LOST;
    }
    openssl->bio_at_end(bio, -1); /* "read again later", not the end */
    openssl->set_bio(wire->ssl, bio, wire->outgoing); /* frees the one before */
    return TWB_DONE;
}

/* One room; adds to what was taken from the socket, and to what was got. */
static twb_result fill(twb_wire *wire, const twb_room *room, size_t allowed, size_t *taken, size_t *got) {
    const twb_openssl *openssl = wire->openssl;
    size_t have = 0, stroke;
    while (have < room->length) {
        int n = openssl->ssl_read(wire->ssl, room->into + have, as_int(room->length - have));
        if (n > 0) {
            have += (size_t)n;
            *got += (size_t)n;
            continue;
        }
        if (openssl->ssl_get_error(wire->ssl, n) != SSL_WANTS_READ) return TWB_TLS;
        if (*taken >= allowed) return TWB_ENOUGH;
        twb_result result = take_in(wire, &stroke);
        if (result != TWB_DONE) return result;
        *taken += stroke;
    }
    return TWB_DONE;
}

twb_result twb_receive(twb_wire *wire, const twb_room *rooms, size_t count, size_t allowed, size_t *got) {
    size_t taken = 0;
    *got = 0;
    wire->openssl->err_clear(); /* a read that gives bytes, or wants more, leaves no error behind */
    for (size_t i = 0; i < count; i++) {
        twb_result result = fill(wire, &rooms[i], allowed, &taken, got);
        if (result != TWB_DONE) return result;
        if (rooms[i].like && memcmp(rooms[i].into, rooms[i].like, rooms[i].length)) break;
    }
    return TWB_DONE;
}

/* Empties the second half of the buffer, and OpenSSL's BIO through it. */
static twb_result give_out(twb_wire *wire) {
    uint8_t *out = wire->buffer + wire->buffer_length / 2;
    for (;;) {
        while (wire->held) {
            ssize_t n = send(wire->socket, out + wire->at, wire->held, SEND_FLAGS);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return failed(wire);
            wire->at += (size_t)n;
            wire->held -= (size_t)n;
            wire->sent += (uint64_t)n;
        }
        wire->at = 0;
        int n = wire->openssl->bio_read(wire->outgoing, out, as_int(wire->buffer_length / 2));
        if (n <= 0) return TWB_DONE;
        wire->held = (size_t)n;
    }
}

twb_result twb_send(twb_wire *wire, const twb_piece *pieces, size_t count, size_t *taken) {
    const size_t records = wire->buffer_length / 2 / (TLS_RECORD + TLS_RECORD_OVERHEAD);
    const size_t stroke = (records ? records : 1) * TLS_RECORD;
    size_t encrypted = 0;
    twb_result result = give_out(wire);
    *taken = 0;
    wire->openssl->err_clear();
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < pieces[i].length && result == TWB_DONE;) {
            size_t part = pieces[i].length - at < stroke ? pieces[i].length - at : stroke;
            int n = wire->openssl->ssl_write(wire->ssl, pieces[i].data + at, as_int(part));
            if (n <= 0) return TWB_TLS;
            at += (size_t)n;
            *taken += (size_t)n;
            encrypted += (size_t)n;
            if (encrypted < stroke) continue; /* a small piece goes out with the next */
            encrypted = 0;
            result = give_out(wire);
        }
    }
    return result == TWB_DONE && encrypted ? give_out(wire) : result;
}

#endif
