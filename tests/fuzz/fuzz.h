/* What the fuzz targets share. A target is tests/fuzz/fuzz_NAME.c with one function, FUZZ_TARGET(NAME), which
 * is given any bytes and must neither crash, leak, hang nor use much memory. libFuzzer drives it ("make
 * fuzz", clang); tests/unit/test_corpus.c gives it what was found before (tests/fuzz/corpus/NAME), in "make
 * check". An input that holds several things has them one behind the other, parted by FUZZ_SEPARATOR. */
#ifndef WALFERRY_FUZZ_H
#define WALFERRY_FUZZ_H

#include "common/buffer.h"
#include "common/digest.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef FUZZ_CORPUS
#define FUZZ_TARGET(name) static int fuzz_##name(const uint8_t *data, size_t length)
#else
#define FUZZ_TARGET(name)                                                                                    \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);                                          \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
#endif

/* What a parser promises for every input. */
#define FUZZ_CHECK(condition)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

#define FUZZ_SEPARATOR "\n%%\n"

struct fuzz_input {
    const uint8_t *next;
    size_t left;
};

/* Takes what stands before the next separator off the input, as a block of its own so that every byte read
 * behind its end is seen; a zero is behind it only if text. Caller frees. */
static inline char *fuzz_take(struct fuzz_input *input, int text, size_t *length)
{
    const size_t separator = strlen(FUZZ_SEPARATOR);
    const uint8_t *end = memmem(input->next, input->left, FUZZ_SEPARATOR, separator);
    size_t taken = end != NULL ? (size_t)(end - input->next) : input->left;
    char *block = malloc(taken + (text ? 1 : taken == 0));

    FUZZ_CHECK(block != NULL);
    memcpy(block, input->next, taken);
    if (text)
        block[taken] = '\0';
    *length = taken;
    taken += end != NULL ? separator : 0;
    input->next += taken;
    input->left -= taken;
    return block;
}

static inline uint8_t fuzz_byte(struct fuzz_input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->next++;
}

/* A private file in memory, for what takes only a path. */
static inline int fuzz_file(const void *data, size_t length, char path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    FUZZ_CHECK(fd >= 0 && fchmod(fd, 0600) == 0);
    for (size_t done = 0; done < length;) {
        ssize_t written = write(fd, (const char *)data + done, length - done);

        FUZZ_CHECK(written > 0);
        done += (size_t)written;
    }
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

/* A mutator cannot get past a document's SHA-256: an input that does not end as a document does gets one
 * behind its last brace, as document_seal would. */
static inline void fuzz_seal(const uint8_t *data, size_t length, struct buffer *out)
{
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];

    while (length > 0 && (data[length - 1] == '\n' || data[length - 1] == ' '))
        length--;
    FUZZ_CHECK(buffer_append(out, data, length) == 0);
    if (length == 0 || data[length - 1] != '}')
        return;
    out->length--;
    FUZZ_CHECK(sha256_of(out->data, out->length, digest) == 0);
    hex_encode(digest, sizeof digest, hex);
    FUZZ_CHECK(buffer_printf(out, ",\"sha256\":\"%s\"}\n", hex) == 0);
}

/* Pushes the bytes into a sink in pieces of odd sizes. 0, or -1 when the sink failed. */
static inline int fuzz_push(const struct sink *sink, const void *data, size_t length, size_t piece)
{
    const char *next = data;

    while (length > 0) {
        size_t taken = length < piece ? length : piece;
        char *block = malloc(taken);

        FUZZ_CHECK(block != NULL);
        memcpy(block, next, taken);
        int result = sink->write(sink->context, block, taken);
        free(block);
        if (result != 0)
            return -1;
        next += taken;
        length -= taken;
        piece = piece % 4096 * 3 + 1;
    }
    return 0;
}

/* A sink that counts, and touches both ends of what it is given. */
static inline int fuzz_count(void *context, const void *data, size_t length)
{
    const unsigned char *bytes = data;

    if (length > 0)
        FUZZ_CHECK(bytes[0] + bytes[length - 1] >= 0);
    *(uint64_t *)context += length;
    return 0;
}

#endif
