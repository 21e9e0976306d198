/* Bulk bytes over a real socket, with a cipher in OpenSSL's place that can be read by eye. */
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "bulk_api.h"

enum { KEY = 0x5a, RECORD = 100, WANT_READ = 2, ZERO_RETURN = 6 };

/* A BIO with memory of its own. */
typedef struct {
    bytes content;
    size_t at;
} queue;

/* A BIO over memory that is somebody else's. */
typedef struct {
    const uint8_t *data;
    size_t left;
    int at_end;
} view;

typedef struct {
    view *in;
    queue out;
    int closed; /* the other side said that it is done: seen when all is read */
    int broken;
} cipher;

static int queue_read(void *from, void *into, int length) {
    queue *q = from;
    size_t n = twd_min((size_t)length, q->content.length - q->at);
    if (!n) return -1;
    memcpy(into, q->content.data + q->at, n);
    q->at += n;
    return (int)n;
}

static int queue_write(void *to, const void *data, int length) {
    bytes_append(&((queue *)to)->content, data, (size_t)length);
    return length;
}

static void *view_over(const void *data, int length) {
    view *v = malloc(sizeof *v);
    *v = (view){data, (size_t)length, 0};
    return v;
}

static long view_at_end(void *of, int result) {
    ((view *)of)->at_end = result;
    return 1;
}

static void cipher_reads(void *ssl, void *from, void *to) {
    cipher *c = ssl;
    CHECK(to == &c->out);
    CHECK(!c->in || !c->in->left);
    free(c->in);
    c->in = from;
}

static int cipher_read(void *ssl, void *into, int length) {
    cipher *c = ssl;
    if (c->broken || !c->in) return -1;
    size_t n = twd_min(twd_min((size_t)length, RECORD), c->in->left);
    if (!n) return c->in->at_end;
    for (size_t i = 0; i < n; i++) ((uint8_t *)into)[i] = c->in->data[i] ^ KEY;
    c->in->data += n;
    c->in->left -= n;
    return (int)n;
}

static int cipher_write(void *ssl, const void *data, int length) {
    cipher *c = ssl;
    if (c->broken) return -1;
    for (int i = 0; i < length; i++) {
        uint8_t byte = ((const uint8_t *)data)[i] ^ KEY;
        queue_write(&c->out, &byte, 1);
    }
    return length;
}

static int cipher_error(const void *ssl, int result) {
    const cipher *c = ssl;
    CHECK(result < 0);
    return c->broken ? 1 : c->closed ? ZERO_RETURN : WANT_READ;
}

static void nothing(void) {}

static const twb_openssl FUNCTIONS = {cipher_read, cipher_write, cipher_error, queue_read, view_over, view_at_end, cipher_reads, nothing};

typedef struct {
    cipher tls;
    twb_wire wire;
    bytes buffer; /* exactly as large as said, so that the sanitizer sees each step beyond */
} end;

static void open_end(end *e, int socket, size_t buffer) {
    memset(e, 0, sizeof *e);
    e->buffer = bytes_random(buffer, 256);
    e->wire = (twb_wire){.openssl = &FUNCTIONS, .ssl = &e->tls, .outgoing = &e->tls.out, .socket = socket,
                         .buffer = e->buffer.data, .buffer_length = buffer};
}

static void close_end(end *e) {
    close(e->wire.socket);
    free(e->tls.in);
    bytes_free(&e->tls.out.content);
    bytes_free(&e->buffer);
}

static void open_pair(end *a, end *b, size_t buffer) {
    int sockets[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    open_end(a, sockets[0], buffer);
    open_end(b, sockets[1], buffer);
}

static twb_result send_one(twb_wire *wire, const void *data, size_t length, size_t *taken) {
    const twb_piece piece = {data, length};
    return twb_send(wire, &piece, 1, taken);
}

static twb_result receive_one(twb_wire *wire, uint8_t *into, size_t length, size_t allowed, size_t *got) {
    const twb_room room = {into, length, NULL};
    return twb_receive(wire, &room, 1, allowed, got);
}

static void all_arrives_in_order(void) {
    static const size_t buffers[] = {2, 3, 64, 4096, 70000};
    for (size_t k = 0; k < sizeof buffers / sizeof *buffers; k++) {
        end a, b;
        open_pair(&a, &b, buffers[k]);
        size_t length = buffers[k] < 64 ? 5000 : 3000000, given = 0, got = 0;
        bytes sent = bytes_random(length, 256), come = bytes_random(length, 1);
        int done = 0;
        while (!done || got < length) {
            size_t n;
            if (!done) {
                twb_result result = send_one(&a.wire, sent.data + given, length - given, &n);
                given += n;
                done = result == TWB_DONE;
                CHECK(done || result == TWB_AGAIN);
                CHECK(done ? given == length && !a.wire.held : a.wire.held > 0);
            }
            size_t room = 1 + random_below(twd_min(length - got, 200000));
            if (got == length) continue;
            twb_result result = receive_one(&b.wire, come.data + got, room, 50000, &n);
            got += n;
            CHECK(n <= room && (result == TWB_DONE) == (n == room));
            CHECK(result == TWB_DONE || result == TWB_AGAIN || result == TWB_ENOUGH);
        }
        CHECK(bytes_equal(sent, come));
        CHECK(a.wire.sent == length && b.wire.received == length && !a.wire.received && !b.wire.sent);
        bytes_free(&sent);
        bytes_free(&come);
        close_end(&a);
        close_end(&b);
    }
}

static void no_more_is_taken_than_allowed(void) {
    end a, b;
    uint8_t into[1000];
    size_t n;
    open_pair(&a, &b, 200);
    CHECK(send_one(&a.wire, into, 0, &n) == TWB_DONE && n == 0);
    memset(into, 7, sizeof into);
    CHECK(send_one(&a.wire, into, sizeof into, &n) == TWB_DONE && n == sizeof into);
    CHECK(receive_one(&b.wire, into, sizeof into, 0, &n) == TWB_ENOUGH && n == 0);
    CHECK(receive_one(&b.wire, into, sizeof into, 250, &n) == TWB_ENOUGH && n == 300);
    CHECK(receive_one(&b.wire, into, 100, 250, &n) == TWB_DONE && n == 100);
    close_end(&a);
    close_end(&b);
}

/* Pieces of any length, also none, in whatever portions the socket takes them. */
static void pieces_arrive_as_one_stream(void) {
    enum { PIECES = 40 };
    end a, b;
    open_pair(&a, &b, 2 * 3 * (16384 + 256));
    twb_piece pieces[PIECES];
    size_t length = 0, got = 0, n;
    bytes sent = bytes_random(PIECES * 120000, 256), come = bytes_random(PIECES * 120000, 1);
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = (twb_piece){sent.data + length, i % 3 ? random_below(120000) : random_below(10)};
        length += pieces[i].length;
    }
    const twb_piece *next = pieces;
    twb_result result;
    do {
        result = twb_send(&a.wire, next, (size_t)(pieces + PIECES - next), &n);
        CHECK(result == TWB_DONE || result == TWB_AGAIN);
        twb_piece *at = pieces + (next - pieces);
        for (; at < pieces + PIECES && n >= at->length; at++) n -= at->length;
        next = at;
        if (n) *at = (twb_piece){at->data + n, at->length - n};
        CHECK(receive_one(&b.wire, come.data + got, length + 1 - got, SIZE_MAX, &n) == TWB_AGAIN);
        got += n;
    } while (result == TWB_AGAIN);
    CHECK(next == pieces + PIECES && got == length && !memcmp(sent.data, come.data, length));
    bytes_free(&sent);
    bytes_free(&come);
    close_end(&a);
    close_end(&b);
}

static void small_pieces_go_out_with_the_next(void) {
    end a, b;
    uint8_t into[40000] = {0};
    const twb_piece pieces[] = {{into, 9}, {into, 20000}};
    size_t n;
    open_pair(&a, &b, 2 * 3 * (16384 + 256));
    CHECK(twb_send(&a.wire, pieces, 2, &n) == TWB_DONE && n == 20009);
    a.tls.broken = 1; /* nothing behind a failure goes out */
    CHECK(twb_send(&a.wire, pieces, 2, &n) == TWB_TLS && n == 0);
    CHECK(twb_send(&a.wire, pieces, 0, &n) == TWB_DONE && n == 0 && a.wire.sent == 20009);
    close_end(&a);
    close_end(&b);
}

static void rooms_behind_what_was_not_expected_stay_empty(void) {
    end a, b;
    uint8_t one[3], two[2], three[3], four[2], five[3];
    const uint8_t like[2] = "--";
    const twb_room rooms[] = {{one, 3, NULL}, {two, 2, like}, {three, 3, NULL}, {four, 2, like}, {five, 3, NULL}};
    size_t n;
    open_pair(&a, &b, 64);
    CHECK(send_one(&a.wire, "abc--def-+ghi", 13, &n) == TWB_DONE);
    memset(five, 7, 3);
    CHECK(twb_receive(&b.wire, rooms, 5, 100, &n) == TWB_DONE && n == 10);
    CHECK(!memcmp(one, "abc", 3) && !memcmp(two, "--", 2) && !memcmp(three, "def", 3) && !memcmp(four, "-+", 2) && five[0] == 7);
    CHECK(twb_receive(&b.wire, rooms, 5, 100, &n) == TWB_AGAIN && n == 3 && !memcmp(one, "ghi", 3));
    CHECK(send_one(&a.wire, "-+", 2, &n) == TWB_DONE);
    CHECK(twb_receive(&b.wire, rooms + 1, 4, 100, &n) == TWB_DONE && n == 2);
    close_end(&a);
    close_end(&b);
}

static void the_end_is_told_apart(void) {
    end a, b;
    uint8_t into[10];
    size_t n;
    open_pair(&a, &b, 64);
    CHECK(receive_one(&b.wire, into, 10, 10, &n) == TWB_AGAIN && n == 0);
    CHECK(send_one(&a.wire, "abc", 3, &n) == TWB_DONE);
    close_end(&a);
    CHECK(receive_one(&b.wire, into, 10, 10, &n) == TWB_EOF && n == 3 && !memcmp(into, "abc", 3));
    b.tls.closed = 1;
    CHECK(receive_one(&b.wire, into, 10, 10, &n) == TWB_TLS && n == 0);
    b.tls.broken = 1;
    CHECK(receive_one(&b.wire, into, 10, 10, &n) == TWB_TLS);
    CHECK(send_one(&b.wire, into, 10, &n) == TWB_TLS && n == 0);
    b.tls.broken = 0;
    CHECK(send_one(&b.wire, into, 10, &n) == TWB_LOST && b.wire.failure && b.wire.held == 10);
    close_end(&b);
}

void test_bulk(void) {
    all_arrives_in_order();
    pieces_arrive_as_one_stream();
    small_pieces_go_out_with_the_next();
    rooms_behind_what_was_not_expected_stay_empty();
    no_more_is_taken_than_allowed();
    the_end_is_told_apart();
}
