/* Bulk bytes between a socket and a TLS connection over memory BIOs, in large strokes, with no call back into Python for a record.
 * Given to cffi's cdef() as it stands, like delta_api.h.
 *
 * OpenSSL is not linked: it is the caller's, who gives the addresses of its functions and owns its objects. The socket never blocks. One
 * thread at a time may use a wire, and its TLS connection. What SSL_read reads is the wire's buffer, by BIOs made here: when the wire is given
 * up, and before its buffer is, the connection has to get another BIO for it. */

typedef enum {
    TWB_DONE = 0,   /* all that was asked for */
    TWB_AGAIN = 1,  /* the socket has no more, or takes no more, for now */
    TWB_ENOUGH = 2, /* as much was taken from the socket as was allowed */
    TWB_EOF = 3,    /* the other side has closed the TCP connection */
    TWB_TLS = 4,    /* OpenSSL has something else to say: ask it again, by its own interface */
    TWB_LOST = 5    /* the socket failed; see the wire's failure */
} twb_result;

typedef struct {
    int (*ssl_read)(void *, void *, int);
    int (*ssl_write)(void *, const void *, int);
    int (*ssl_get_error)(const void *, int);
    int (*bio_read)(void *, void *, int);
    void *(*bio_over)(const void *, int);
    long (*bio_at_end)(void *, int);
    void (*set_bio)(void *, void *, void *);
    void (*err_clear)(void);
} twb_openssl;

typedef struct {
    const twb_openssl *openssl;
    void *ssl;
    void *outgoing; /* the BIO that SSL_write writes */
    int socket;
    int failure; /* errno */
    uint8_t *buffer; /* both directions have half of it */
    size_t buffer_length;
    size_t at, held; /* encrypted bytes in the second half that the socket has not taken */
    uint64_t received, sent; /* bytes on the wire */
} twb_wire;

/* Where the next bytes of the stream belong. */
typedef struct {
    uint8_t *into;
    size_t length;
    const uint8_t *like; /* what should come, as many bytes; NULL: anything */
} twb_room;

/* Decrypts into rooms, one after the other, as far as there is something; taken from the socket are `allowed` bytes at most, or a buffer more.
 * TWB_DONE: all are full, or the last that is has not what it should: none behind it was begun. `got`: of all rooms together. */
twb_result twb_receive(twb_wire *wire, const twb_room *rooms, size_t count, size_t allowed, size_t *got);

/* What is to be sent. */
typedef struct {
    const uint8_t *data;
    size_t length;
} twb_piece;

/* Encrypts pieces and sends them, after what is held, and what OpenSSL has to say by itself. TWB_AGAIN: `taken` bytes need not be given
 * again, though some of them may still be held; with TWB_DONE nothing is. */
twb_result twb_send(twb_wire *wire, const twb_piece *pieces, size_t count, size_t *taken);
