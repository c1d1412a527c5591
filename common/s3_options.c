#include "s3_options.h"

#include "file.h"
#include "log.h"
#include "timestamp.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define KEY_FILE_MOST 4096
#define DAY_MICROSECONDS (86400ll * 1000000)

/* --- the customer's key
 * -------------------------------------------------------------------------------------------- */

/* As it is, in hex or in base64, with or without a line end. */
static bool parse_key(struct buffer *text, unsigned char key[S3_CUSTOMER_KEY_BYTES])
{
    size_t length = text->length;

    if (length == S3_CUSTOMER_KEY_BYTES) {
        memcpy(key, text->data, length);
        return true;
    }
    while (length > 0 && isspace(text->data[length - 1]))
        text->data[--length] = '\0';
    return hex_decode(buffer_string(text), key, S3_CUSTOMER_KEY_BYTES) ||
           base64_decode(buffer_string(text), key, S3_CUSTOMER_KEY_BYTES);
}

static int read_key(struct s3_options *options, const char *path)
{
    struct buffer text = BUFFER_EMPTY;
    unsigned char key[S3_CUSTOMER_KEY_BYTES], md5[MD5_BYTES];
    int result = -1;
    enum file_result found = file_read_private(path, KEY_FILE_MOST, &text);

    if (found == FILE_ABSENT) {
        log_error("there is no key file \"%s\" (sse_customer_key_file)", path);
    } else if (found == FILE_OK && !parse_key(&text, key)) {
        log_error("key file \"%s\" must hold 32 bytes, as they are, as 64 hex digits or in base64", path);
        log_hint("openssl rand -base64 32 makes one. Keep a copy elsewhere: without it nothing can be read.");
    } else if (found == FILE_OK && md5_of(key, sizeof key, md5) != 0) {
        log_error("sse = customer needs MD5, which this machine's libcrypto refuses (FIPS)");
    } else if (found == FILE_OK) {
        base64_encode(key, sizeof key, options->customer_key);
        base64_encode(md5, sizeof md5, options->customer_key_md5);
        result = 0;
    }
    explicit_bzero(key, sizeof key);
    buffer_wipe(&text);
    return result;
}

int s3_options_open(struct s3_options *options, const struct repository_config *config)
{
    const struct s3_settings *settings = &config->s3;

    *options = (struct s3_options){.settings = settings};
    options->sends_checksum = settings->checksum != 0 || settings->object_lock != S3_LOCK_NONE;
    return settings->sse == S3_ENCRYPTION_CUSTOMER ? read_key(options, settings->sse_customer_key_file) : 0;
}

void s3_options_wipe(struct s3_options *options)
{
    explicit_bzero(options->customer_key, sizeof options->customer_key);
}

/* --- what is under a key
 * ------------------------------------------------------------------------------------------- */

enum kind { KIND_OTHER, KIND_DOCUMENT, KIND_BULK_WAL, KIND_BULK_BACKUP };

static bool is_digits(const char *text, const char *end)
{
    for (; text < end; text++)
        if (!isdigit((unsigned char)*text))
            return false;
    return true;
}

/* "main-00000001", "16384-00000001", "external-00000001" */
static bool is_part(const char *name)
{
    const char *dash = strrchr(name, '-');

    return dash != NULL && strlen(dash) >= 9 && is_digits(dash + 1, dash + strlen(dash));
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with)
{
    size_t length = strlen(text);

    return length >= strlen(with) && strcmp(text + length - strlen(with), with) == 0;
}

/* Below a system identifier. */
static enum kind kind_in_system(const char *rest)
{
    const char *name = strrchr(rest, '/');

    name = name == NULL ? rest : name + 1;
    if (begins(rest, "wal/"))
        return ends(name, ".history") || ends(name, ".gap") || ends(name, ".backup") ? KIND_DOCUMENT
                                                                                     : KIND_BULK_WAL;
    if (begins(rest, "base/") || begins(rest, "dumps/"))
        return strcmp(name, "heartbeat.json") == 0 ? KIND_OTHER
               : is_part(name)                     ? KIND_BULK_BACKUP
                                                   : KIND_DOCUMENT;
    return begins(rest, "restore-points/") ? KIND_DOCUMENT : KIND_OTHER;
}

/* key: "<cluster>/<system identifier>/..." */
static enum kind kind_of(const char *key)
{
    const char *rest = key == NULL ? NULL : strchr(key, '/'), *slash;

    if (rest == NULL)
        return KIND_OTHER;
    rest++;
    slash = strchr(rest, '/');
    if (strcmp(rest, "cluster.json") == 0 || begins(rest, "keys/"))
        return KIND_DOCUMENT;
    return slash != NULL && slash > rest && is_digits(rest, slash) ? kind_in_system(slash + 1) : KIND_OTHER;
}

/* --- the headers
 * --------------------------------------------------------------------------------------------------- */

static void add_customer_key(const struct s3_options *options, struct s3_request *request, bool of_source)
{
    static const char *const names[2][3] = {{"x-amz-server-side-encryption-customer-algorithm",
                                             "x-amz-server-side-encryption-customer-key",
                                             "x-amz-server-side-encryption-customer-key-md5"},
                                            {"x-amz-copy-source-server-side-encryption-customer-algorithm",
                                             "x-amz-copy-source-server-side-encryption-customer-key",
                                             "x-amz-copy-source-server-side-encryption-customer-key-md5"}};

    s3_request_header(request, names[of_source][0], "AES256");
    s3_request_header(request, names[of_source][1], options->customer_key);
    s3_request_header(request, names[of_source][2], options->customer_key_md5);
}

static void add_encryption(const struct s3_options *options, struct s3_request *request, enum s3_use use)
{
    const struct s3_settings *settings = options->settings;

    if (settings->sse == S3_ENCRYPTION_CUSTOMER) {
        add_customer_key(options, request, false);
        if (use == S3_USE_COPY)
            add_customer_key(options, request, true);
    } else if (settings->sse != S3_ENCRYPTION_NONE && use != S3_USE_TRANSFER) {
        s3_request_header(request, "x-amz-server-side-encryption",
                          settings->sse == S3_ENCRYPTION_KMS ? "aws:kms" : "AES256");
        if (settings->sse_kms_key_id != NULL)
            s3_request_header(request, "x-amz-server-side-encryption-aws-kms-key-id",
                              settings->sse_kms_key_id);
    }
}

static void add_lock(struct s3_options *options, struct s3_request *request)
{
    const struct s3_settings *settings = options->settings;

    timestamp_format_iso(timestamp_now() + settings->object_lock_days * DAY_MICROSECONDS, options->until);
    s3_request_header(request, "x-amz-object-lock-mode",
                      settings->object_lock == S3_LOCK_COMPLIANCE ? "COMPLIANCE" : "GOVERNANCE");
    s3_request_header(request, "x-amz-object-lock-retain-until-date", options->until);
}

void s3_options_add(struct s3_options *options, struct s3_request *request, enum s3_use use, const char *key)
{
    const struct s3_settings *settings = options->settings;

    add_encryption(options, request, use);
    if (use == S3_USE_TRANSFER)
        return;
    enum kind kind = kind_of(key);
    const char *class = kind == KIND_BULK_WAL      ? settings->storage_class_wal
                        : kind == KIND_BULK_BACKUP ? settings->storage_class
                                                   : NULL;
    if (class != NULL)
        s3_request_header(request, "x-amz-storage-class", class);
    if (settings->tags != NULL && kind != KIND_OTHER)
        s3_request_header(request, "x-amz-tagging", settings->tags);
    /* else it has its source's, from when tags was set perhaps, and to read them is a right of its own on AWS
     */
    if (use == S3_USE_COPY && kind != KIND_OTHER)
        s3_request_header(request, "x-amz-tagging-directive", "REPLACE");
    if (settings->object_lock != S3_LOCK_NONE && kind != KIND_OTHER)
        add_lock(options, request);
    if (options->sends_checksum && use == S3_USE_CREATE)
        s3_request_header(request, "x-amz-checksum-algorithm", "SHA256");
    if (options->sends_checksum && use == S3_USE_PUT)
        s3_options_add_checksum(options, request);
}

void s3_options_add_checksum(struct s3_options *options, struct s3_request *request)
{
    base64_encode(request->body->sha256, SHA256_BYTES, options->checksum);
    s3_request_header(request, "x-amz-checksum-sha256", options->checksum);
}

int s3_options_add_md5(struct s3_options *options, struct s3_request *request)
{
    unsigned char md5[MD5_BYTES];

    if (md5_of(request->body->data, (size_t)request->body->length, md5) != 0)
        return -1;
    base64_encode(md5, sizeof md5, options->md5);
    s3_request_header(request, "content-md5", options->md5);
    return 0;
}
