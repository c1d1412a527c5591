#include "tar.h"

#include "log.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES 100
#define PREFIX_BYTES 155
#define SIZE_MOST 077777777777ull /* eleven octal digits */

/* As it lies on disk. */
struct header {
    char name[NAME_BYTES];
    char mode[8];
    char user[8];
    char group[8];
    char size[12];
    char modified[12];
    char checksum[8];
    char type;
    char link_name[NAME_BYTES];
    char magic[6];
    char version[2];
    char user_name[32];
    char group_name[32];
    char device_major[8];
    char device_minor[8];
    char prefix[PREFIX_BYTES];
    char rest[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK_BYTES, "a tar header is one block");

size_t tar_padding_bytes(uint64_t bytes)
{
    return (size_t)((TAR_BLOCK_BYTES - bytes % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES);
}

/* The field's width less one in octal digits, then a zero. A value that does not fit becomes 0: the reader
 * then uses the name (users) or the pax record (sizes). */
static void set_octal(char *field, size_t width, uint64_t value)
{
    size_t digits = width - 1;

    if (3 * digits < 64 && value >> (3 * digits) != 0)
        value = 0;
    field[digits] = '\0';
    while (digits-- > 0) {
        field[digits] = (char)('0' + (value & 7));
        value >>= 3;
    }
}

static void set_text(char *field, size_t width, const char *text)
{
    size_t length = strlen(text);

    memcpy(field, text, length < width ? length : width);
}

/* Name, or prefix and name, which a reader joins with a slash. False if the path fits neither way. */
static bool set_path(struct header *header, const char *path, bool is_directory)
{
    char full[NAME_BYTES + 1 + PREFIX_BYTES + 2];
    int length = snprintf(full, sizeof full, "%s%s", path, is_directory ? "/" : "");

    if (length < 0 || (size_t)length >= sizeof full)
        return false;
    if (length <= NAME_BYTES) {
        memcpy(header->name, full, (size_t)length);
        return true;
    }
    for (int slash = length - 2; slash > 0; slash--) {
        int name_length = length - slash - 1;
        if (full[slash] != '/' || slash > PREFIX_BYTES)
            continue;
        if (name_length > NAME_BYTES)
            return false;
        memcpy(header->prefix, full, (size_t)slash);
        memcpy(header->name, full + slash + 1, (size_t)name_length);
        return true;
    }
    return false;
}

static void set_checksum(struct header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    unsigned sum = 0;

    memset(header->checksum, ' ', sizeof header->checksum);
    for (size_t i = 0; i < sizeof *header; i++)
        sum += bytes[i];
    set_octal(header->checksum, 7, sum); /* six digits, a zero, and the blank that is there */
}

static void fill(struct header *header, const struct tar_member *member, char type, uint64_t bytes)
{
    set_octal(header->mode, sizeof header->mode, member->mode & 07777);
    set_octal(header->user, sizeof header->user, member->user);
    set_octal(header->group, sizeof header->group, member->group);
    set_octal(header->size, sizeof header->size, bytes);
    set_octal(header->modified, sizeof header->modified,
              member->modified_seconds < 0 ? 0 : (uint64_t)member->modified_seconds);
    header->type = type;
    memcpy(header->magic, "ustar", 6);
    memcpy(header->version, "00", 2);
    set_text(header->user_name, sizeof header->user_name - 1, member->user_name);
    set_text(header->group_name, sizeof header->group_name - 1, member->group_name);
    set_octal(header->device_major, sizeof header->device_major, 0);
    set_octal(header->device_minor, sizeof header->device_minor, 0);
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts its own digits. */
static int append_record(struct buffer *out, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3, length = rest;

    for (size_t before = 0; before != length;) {
        char digits[24];
        before = length;
        length = rest + (size_t)snprintf(digits, sizeof digits, "%zu", length);
    }
    return buffer_printf(out, "%zu %s=%s\n", length, key, value);
}

static int write_pax_header(const struct tar_member *member, struct buffer *out)
{
    struct buffer records = BUFFER_EMPTY;
    struct header header;
    static const char zeros[TAR_BLOCK_BYTES];
    char size[24];
    int result = -1;

    snprintf(size, sizeof size, "%llu", (unsigned long long)member->bytes);
    if (append_record(&records, "path", member->path) != 0 || append_record(&records, "size", size) != 0)
        goto done;
    memset(&header, 0, sizeof header);
    fill(&header, member, 'x', records.length);
    memcpy(header.name, "PaxHeaders/walferry", sizeof "PaxHeaders/walferry" - 1);
    set_checksum(&header);
    if (buffer_append(out, &header, sizeof header) == 0 &&
        buffer_append(out, records.data, records.length) == 0 &&
        buffer_append(out, zeros, tar_padding_bytes(records.length)) == 0)
        result = 0;
done:
    buffer_free(&records);
    return result;
}

int tar_header_write(const struct tar_member *member, struct buffer *out)
{
    struct header header;

    memset(&header, 0, sizeof header);
    bool path_fits = set_path(&header, member->path, member->is_directory);
    if (!path_fits)
        set_text(header.name, sizeof header.name, member->path);
    if ((!path_fits || member->bytes > SIZE_MOST) && write_pax_header(member, out) != 0)
        return -1;
    fill(&header, member, member->is_directory ? '5' : '0', member->bytes);
    set_checksum(&header);
    return buffer_append(out, &header, sizeof header);
}
