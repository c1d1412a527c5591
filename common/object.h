/* The sealed object: one frame (or, with codec "none", the content as it is), then a trailer of fixed length
 * that tells what it holds and its SHA-256. WAL segments, history files and the file index of a backup are
 * kept so. Layer 3. Format: docs/format.md.
 *
 * The trailer is a skippable frame (which `lz4 -d` and `zstd -d` pass over) whose payload is a sealed
 * document (document.h) on one line, padded with blanks: `tail -c 1016 OBJECT` shows it. It travels with the
 * object, unlike a store's metadata. */
#ifndef WALFERRY_OBJECT_H
#define WALFERRY_OBJECT_H

#include "buffer.h"
#include "codec.h"
#include "digest.h"
#include "relay.h"
#include "wal.h"
#include "wal_summary.h"

#include <stdbool.h>

#define OBJECT_TRAILER_BYTES 1024 /* 8 of the skippable frame's header and 1016 of payload */

#define OBJECT_NAME_BYTES 128

/* What an object says of itself. */
struct object_facts {
    char kind[16]; /* "segment", "partial", "history", "backup" (wal_kind_name), "files", "index", "dump" */
    char name[OBJECT_NAME_BYTES]; /* the WAL file's name; for "files" the backup's id, for "index" the log's,
               for "dump" the dump's id, a slash and the piece's */
    uint64_t system_identifier;
    uint32_t timeline;
    unsigned postgresql_version;        /* major; 0: unknown */
    uint64_t plain_bytes;               /* filled by object_writer_end */
    unsigned char sha256[SHA256_BYTES]; /* of the plain content; filled by object_writer_end */
    uint64_t frame_bytes;               /* stored bytes before the trailer; filled by object_writer_end */
    enum codec codec;                   /* filled by object_writer_end */
    bool has_summary;                   /* of a segment, or of all of a log; else nothing is known of it */
    struct wal_summary summary;
};

/* Packs plain bytes. One writer packs any number of objects, one after the other. */
struct object_writer;
struct object_writer *object_writer_new(const struct compression *compression); /* NULL after logging */
/* Stored bytes go to sink, borrowed until end. 0, or -1 after logging. */
int object_writer_begin(struct object_writer *writer, struct sink sink);
int object_writer_write(struct object_writer *writer, const void *data, size_t length);
struct sink object_writer_sink(struct object_writer *writer); /* the same */
/* Closes the frame, completes *facts and writes the trailer. 0, or -1 after logging. */
int object_writer_end(struct object_writer *writer, struct object_facts *facts);
void object_writer_free(struct object_writer *writer); /* NULL-safe */

/* Checks and parses a trailer of OBJECT_TRAILER_BYTES; total_bytes is the whole object's size, which must be
 * what the trailer says. 0, or -1 after logging "<what> is damaged: ...". */
int object_trailer_parse(const void *trailer, uint64_t total_bytes, const char *what,
                         struct object_facts *facts);

/* Is it the object that was asked for? kind and name as in the facts. 0, or -1 after logging "<what> holds
 * ..., not ...". */
int object_facts_check(const struct object_facts *facts, const char *kind, const char *name,
                       uint64_t system_identifier, const char *what);

/* Unpacks. Stored bytes are pushed in through object_reader_sink, plain ones come out of plain before they
 * are verified: whoever owns that sink must not believe them until object_reader_finish returned 0. */
struct object_reader;
/* what names the object in messages; copied. NULL after logging. */
struct object_reader *object_reader_new(const struct sink *plain, const char *what);
/* Must be told before the first byte: see store_object.total_bytes, which store_get fills first. The reader
 * keeps the pointer and reads it at the first byte (at finish for an empty object). */
void object_reader_expect_total(struct object_reader *reader, const uint64_t *total_bytes);
/* What was unpacked is hashed by the relay's thread, and goes on from there. Borrowed; NULL: none. */
void object_reader_use_relay(struct object_reader *reader, struct relay *relay);
struct sink object_reader_sink(struct object_reader *reader);
/* 0: everything arrived, and size and SHA-256 are what the trailer says. -1 after logging what is damaged. */
int object_reader_finish(struct object_reader *reader, struct object_facts *facts);
/* True when a write failed because of the object's bytes (logged), not because the plain sink failed. */
bool object_reader_is_damaged(const struct object_reader *reader);
void object_reader_free(struct object_reader *reader);

/* Where stored bytes of one object are collected until they are sent: in memory up to memory_bytes, else in
 * an unlinked file. */
struct object_spool {
    struct buffer memory;
    size_t memory_bytes;
    int fd; /* -1 while in memory */
    uint64_t length;
    bool is_signed;
    struct sha256 hash;    /* of the stored bytes, if is_signed */
    const char *directory; /* for the unlinked file; borrowed; NULL: $TMPDIR or /tmp */
};
#define OBJECT_SPOOL_EMPTY                                                                                   \
    {                                                                                                        \
        .fd = -1                                                                                             \
    }
#define OBJECT_SPOOL_BYTES (32u * 1024 * 1024) /* a good memory_bytes where there is one spool */
/* spool is OBJECT_SPOOL_EMPTY, or has been used: its memory is used again. is_signed: the body will need its
 * SHA-256, since it goes to S3. 0, or -1 after logging. */
int object_spool_begin(struct object_spool *spool, const char *directory, size_t memory_bytes,
                       bool is_signed);
struct sink object_spool_sink(struct object_spool *spool);
/* The collected bytes, borrowed from the spool. */
void object_spool_body(struct object_spool *spool, struct body *body);
void object_spool_free(struct object_spool *spool);

#endif
