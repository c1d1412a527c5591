/* floor: the least that carrying PostgreSQL's files costs with these libraries, plainly written, to measure
 * walferry by. No retries, no trailer, no configuration, no check of what the file is; not a program to use.
 *
 * - floor push FILE KEY: read, SHA-256, LZ4, SHA-256 of what is sent, one PUT over a new TLS connection
 * - floor segments JOBS DIRECTORY KEY: the same for each file there, to KEY/NAME; a worker keeps its
 * connection
 * - floor fetch KEY FILE: one GET, LZ4, SHA-256, a file
 * - floor backup JOBS DIRECTORY KEY: as push for all its files, into objects KEY-1, KEY-2, ... of 14 MiB and
 * more
 * - floor read JOBS DIRECTORY: the same, and nothing is sent; prints how many bytes it read, and how many it
 * would have sent
 * - floor restore JOBS KEY DIRECTORY: one file for each frame, so for each file and for each piece of a file
 * that went into several objects; on disk at the end
 * - floor download JOBS FILE: gets the objects whose keys stand in FILE, a line each, and drops what comes
 * - floor forget FILE: has the kernel drop what it has cached of the files whose paths stand in FILE
 *
 * The place is FLOOR_DIRECTORY, or S3_ENDPOINT with the other variables that tests/ceph writes. */
#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <lz4frame.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)256 * 1024)
#define OBJECT_FULL_BYTES ((size_t)14 * 1024 * 1024)
#define JOBS_MOST 64
#define FILES_MOST 1000000

static void die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "floor: ");
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, " (errno: %s)\n", strerror(errno));
    exit(1);
}

/* One worker's things. */
struct worker {
    CURL *curl; /* NULL: the place is a directory */
    EVP_MD_CTX *hash;
    LZ4F_cctx *encoder;
    LZ4F_dctx *decoder;
    unsigned char *plain;  /* CHUNK_BYTES */
    unsigned char *stored; /* compressed bytes of the object at work */
    size_t capacity, length, sent;
    bool drops; /* what is got */
    /* of a restore */
    const char *path; /* of the files, without their number */
    size_t frame;     /* which is written, from 1 on; 0: there is but one, path */
    int out;          /* -1: none is open */
};

static void worker_open(struct worker *worker)
{
    *worker = (struct worker){.out = -1};
    if (getenv("FLOOR_DIRECTORY") == NULL && (worker->curl = curl_easy_init()) == NULL)
        die("libcurl");
    worker->hash = EVP_MD_CTX_new();
    worker->plain = malloc(CHUNK_BYTES);
    if (worker->hash == NULL || worker->plain == NULL ||
        LZ4F_isError(LZ4F_createCompressionContext(&worker->encoder, LZ4F_VERSION)) ||
        LZ4F_isError(LZ4F_createDecompressionContext(&worker->decoder, LZ4F_VERSION)))
        die("memory");
}

static void worker_close(struct worker *worker)
{
    curl_easy_cleanup(worker->curl);
    EVP_MD_CTX_free(worker->hash);
    LZ4F_freeCompressionContext(worker->encoder);
    LZ4F_freeDecompressionContext(worker->decoder);
    free(worker->plain);
    free(worker->stored);
}

/* LZ4 and SHA-256 */

static const LZ4F_preferences_t preferences = {
    .frameInfo = {.blockSizeID = LZ4F_max256KB,
                  .blockMode = LZ4F_blockIndependent,
                  .contentChecksumFlag = LZ4F_contentChecksumEnabled},
    .compressionLevel = 1,
    .autoFlush = 1,
};

static size_t good(size_t code)
{
    if (LZ4F_isError(code))
        die("LZ4: %s", LZ4F_getErrorName(code));
    return code;
}

static void make_room(struct worker *worker)
{
    size_t needed = worker->length + LZ4F_compressBound(CHUNK_BYTES, &preferences) + LZ4F_HEADER_SIZE_MAX;

    if (needed <= worker->capacity)
        return;
    worker->capacity = needed + needed / 2;
    worker->stored = realloc(worker->stored, worker->capacity);
    if (worker->stored == NULL)
        die("memory");
}

static void pack_chunk(struct worker *worker, size_t length)
{
    make_room(worker);
    EVP_DigestUpdate(worker->hash, worker->plain, length);
    worker->length +=
        good(LZ4F_compressUpdate(worker->encoder, worker->stored + worker->length,
                                 worker->capacity - worker->length, worker->plain, length, NULL));
}

static void begin_frame(struct worker *worker)
{
    make_room(worker);
    worker->length += good(LZ4F_compressBegin(worker->encoder, worker->stored + worker->length,
                                              worker->capacity - worker->length, &preferences));
}

static void end_frame(struct worker *worker)
{
    make_room(worker);
    worker->length += good(LZ4F_compressEnd(worker->encoder, worker->stored + worker->length,
                                            worker->capacity - worker->length, NULL));
}

/* A file as one frame, or as several where the object has grown enough: then full is called. */
static void pack_file(struct worker *worker, const char *path, void (*full)(struct worker *worker))
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = 0;

    if (fd < 0)
        return; /* a file that the server has removed meanwhile */
    EVP_DigestInit_ex(worker->hash, EVP_sha256(), NULL);
    begin_frame(worker);
    while ((got = read(fd, worker->plain, CHUNK_BYTES)) > 0) {
        pack_chunk(worker, (size_t)got);
        if (full != NULL && worker->length >= OBJECT_FULL_BYTES) {
            end_frame(worker);
            full(worker);
            begin_frame(worker);
        }
    }
    if (got < 0)
        die("could not read %s", path);
    end_frame(worker);
    EVP_DigestFinal_ex(worker->hash, digest, NULL);
    close(fd);
}

static void write_fully(int fd, const unsigned char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, data, length);
        if (written <= 0)
            die("write");
        data += written;
        length -= (size_t)written;
    }
}

static void open_output(struct worker *worker);
static void close_output(struct worker *worker);

static size_t unpack(char *data, size_t size, size_t count, void *context)
{
    struct worker *worker = context;
    size_t left = size * count, out_length = CHUNK_BYTES;

    while (left > 0 || out_length == CHUNK_BYTES) {
        size_t used = left;
        out_length = CHUNK_BYTES;
        if (worker->out < 0 && left > 0)
            open_output(worker);
        size_t hint = good(LZ4F_decompress(worker->decoder, worker->plain, &out_length, data, &used, NULL));
        EVP_DigestUpdate(worker->hash, worker->plain, out_length);
        if (out_length > 0)
            write_fully(worker->out, worker->plain, out_length);
        data += used;
        left -= used;
        if (hint == 0 && used > 0)
            close_output(worker);
        if (used == 0 && out_length == 0)
            break;
    }
    return size * count;
}

static size_t drop_bytes(char *data, size_t size, size_t count, void *context)
{
    (void)data;
    (void)context;
    return size * count;
}

/* The place: S3 */

static size_t give_body(char *out, size_t size, size_t count, void *context)
{
    struct worker *worker = context;
    size_t left = worker->length - worker->sent, length = size * count < left ? size * count : left;

    memcpy(out, worker->stored + worker->sent, length);
    worker->sent += length;
    return length;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL)
        die("%s is not set", name);
    return value;
}

static void hex(const unsigned char *bytes, char *out)
{
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void hash(const void *data, size_t length, char *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];

    EVP_Digest(data, length, digest, NULL, EVP_sha256(), NULL);
    hex(digest, out);
}

static void sign_with(unsigned char key[32], size_t key_length, const char *text)
{
    unsigned char mac[32];

    HMAC(EVP_sha256(), key, (int)key_length, (const unsigned char *)text, strlen(text), mac, NULL);
    memcpy(key, mac, sizeof mac);
}

/* AWS Signature Version 4: the headers of one request. */
static struct curl_slist *signed_headers(const char *method, const char *path, const char *body_hash)
{
    const char *host = strstr(variable("S3_ENDPOINT"), "//") + 2, *region = variable("S3_REGION");
    const char *names = "host;x-amz-content-sha256;x-amz-date";
    char date[32], text[2048], text_hash[65], line[512], signature[65];
    unsigned char key[128];
    struct curl_slist *headers;
    time_t now = time(NULL);

    strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", gmtime(&now));
    snprintf(text, sizeof text, "%s\n%s\n\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n\n%s\n%s", method,
             path, host, body_hash, date, names, body_hash);
    hash(text, strlen(text), text_hash);
    snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%.8s/%s/s3/aws4_request\n%s", date, date, region,
             text_hash);
    snprintf((char *)key, sizeof key, "AWS4%s", variable("S3_SECRET_KEY"));
    snprintf(line, sizeof line, "%.8s", date);
    sign_with(key, strlen((char *)key), line);
    sign_with(key, 32, region);
    sign_with(key, 32, "s3");
    sign_with(key, 32, "aws4_request");
    sign_with(key, 32, text);
    hex(key, signature);
    snprintf(line, sizeof line,
             "Authorization: AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/s3/aws4_request, SignedHeaders=%s, "
             "Signature=%s",
             variable("S3_ACCESS_KEY"), date, region, names, signature);
    headers = curl_slist_append(NULL, line);
    snprintf(line, sizeof line, "x-amz-content-sha256: %s", body_hash);
    headers = curl_slist_append(headers, line);
    snprintf(line, sizeof line, "x-amz-date: %s", date);
    headers = curl_slist_append(headers, line);
    return curl_slist_append(headers, "Expect:");
}

/* A PUT of what worker->stored holds, or a GET into unpack. */
static void s3_request(struct worker *worker, const char *key, bool put)
{
    CURL *curl = worker->curl;
    char url[1024], path[768], body_hash[65], error[CURL_ERROR_SIZE] = "";
    long status = 0;

    snprintf(path, sizeof path, "/%s/%s", variable("S3_BUCKET"), key);
    snprintf(url, sizeof url, "%s%s", variable("S3_ENDPOINT"), path);
    hash(worker->stored, put ? worker->length : 0, body_hash);
    struct curl_slist *headers = signed_headers(put ? "PUT" : "GET", path, body_hash);
    curl_easy_reset(curl);
    if (put) {
        headers = curl_slist_append(headers, "If-None-Match: *");
        worker->sent = 0;
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)worker->length);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(curl, CURLOPT_READDATA, worker);
    } else {
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, worker->drops ? drop_bytes : unpack);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, worker);
    }
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)CHUNK_BYTES);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)CHUNK_BYTES);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CAINFO, variable("S3_CA"));
    curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (curl_easy_perform(curl) != CURLE_OK ||
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status != 200)
        die("%s: status %ld: %s", url, status, error);
    curl_slist_free_all(headers);
}

/* The place: a directory */

static void sync_directory_of(const char *path)
{
    char directory[1024];

    snprintf(directory, sizeof directory, "%s", path);
    *strrchr(directory, '/') = '\0';
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        die("could not fsync %s", directory);
    close(fd);
}

/* An unnamed file that gets its name when it is whole. */
static int open_unnamed(const char *path)
{
    char directory[1024];

    snprintf(directory, sizeof directory, "%s", path);
    *strrchr(directory, '/') = '\0';
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        die("could not create a file in %s", directory);
    return fd;
}

static void name_file(int fd, const char *path)
{
    char descriptor[64];

    snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, descriptor, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0)
        die("could not link %s", path);
    close(fd);
}

static void directory_put(struct worker *worker, const char *key)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/%s", variable("FLOOR_DIRECTORY"), key);
    int fd = open_unnamed(path);
    write_fully(fd, worker->stored, worker->length);
    if (fsync(fd) != 0)
        die("could not fsync %s", path);
    name_file(fd, path);
    sync_directory_of(path);
}

static void directory_get(struct worker *worker, const char *key)
{
    static _Thread_local char chunk[CHUNK_BYTES];
    char path[1024];
    ssize_t got;

    snprintf(path, sizeof path, "%s/%s", variable("FLOOR_DIRECTORY"), key);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die("could not open %s", path);
    while ((got = read(fd, chunk, sizeof chunk)) > 0)
        (worker->drops ? drop_bytes : unpack)(chunk, 1, (size_t)got, worker);
    if (got < 0)
        die("could not read %s", path);
    close(fd);
}

static void put(struct worker *worker, const char *key)
{
    if (worker->curl != NULL)
        s3_request(worker, key, true);
    else
        directory_put(worker, key);
    worker->length = 0;
}

/* A file has its name when it is whole, if it is the only one; of many nobody thinks that they are there. */
static void open_output(struct worker *worker)
{
    char path[1024];

    snprintf(path, sizeof path, "%s-%zu", worker->path, worker->frame);
    worker->out = worker->frame == 0 ? open_unnamed(worker->path)
                                     : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (worker->out < 0)
        die("could not create %s", path);
    EVP_DigestInit_ex(worker->hash, EVP_sha256(), NULL);
}

static void close_output(struct worker *worker)
{
    unsigned char digest[EVP_MAX_MD_SIZE];

    EVP_DigestFinal_ex(worker->hash, digest, NULL);
    if (worker->frame == 0) {
        name_file(worker->out, worker->path);
    } else {
        close(worker->out);
        worker->frame++;
    }
    worker->out = -1;
}

/* One file, or one for each frame. */
static void get(struct worker *worker, const char *key, const char *path, bool many)
{
    worker->path = path;
    worker->frame = many;
    if (worker->curl != NULL)
        s3_request(worker, key, false);
    else
        directory_get(worker, key);
}

/* Many at once */

struct file {
    char *path;
    off_t bytes;
};

static struct file files[FILES_MOST];
static size_t file_count;
static atomic_size_t next_file, next_object, packed_bytes;
static const char *key_prefix, *target;

static void add_file(const char *path, off_t bytes)
{
    if (file_count == FILES_MOST || (files[file_count].path = strdup(path)) == NULL)
        die("too many files");
    files[file_count++].bytes = bytes;
}

static int note_file(const char *path, const struct stat *status, int type, struct FTW *place)
{
    if (type == FTW_D && strcmp(path + place->base, "pg_wal") == 0)
        return FTW_SKIP_SUBTREE;
    if (type == FTW_F)
        add_file(path, status->st_size);
    return FTW_CONTINUE;
}

static int compare_sizes(const void *a, const void *b)
{
    const struct file *one = a, *two = b;

    return (one->bytes < two->bytes) - (one->bytes > two->bytes);
}

/* The largest come first, so that no worker is left with one while the others have nothing more to do. */
static void find_files(const char *directory)
{
    if (nftw(directory, note_file, 32, FTW_PHYS | FTW_ACTIONRETVAL) != 0)
        die("could not walk %s", directory);
    qsort(files, file_count, sizeof files[0], compare_sizes);
}

static void put_next(struct worker *worker)
{
    char key[512];

    snprintf(key, sizeof key, "%s-%zu", key_prefix, atomic_fetch_add(&next_object, 1) + 1);
    put(worker, key);
}

static void drop(struct worker *worker)
{
    atomic_fetch_add(&packed_bytes, worker->length);
    worker->length = 0;
}

/* A worker: packs files, and hands them on where there is enough for an object. */
static void *pack_files(void *context)
{
    void (*hand_on)(struct worker * worker) = key_prefix == NULL ? drop : put_next;
    struct worker worker;
    size_t i;

    (void)context;
    worker_open(&worker);
    while ((i = atomic_fetch_add(&next_file, 1)) < file_count) {
        pack_file(&worker, files[i].path, hand_on);
        if (worker.length >= OBJECT_FULL_BYTES)
            hand_on(&worker);
    }
    if (worker.length > 0)
        hand_on(&worker);
    worker_close(&worker);
    return NULL;
}

static void *push_segments(void *context)
{
    struct worker worker;
    char key[1024];
    size_t i;

    (void)context;
    worker_open(&worker);
    while ((i = atomic_fetch_add(&next_file, 1)) < file_count) {
        pack_file(&worker, files[i].path, NULL);
        snprintf(key, sizeof key, "%s%s", key_prefix, strrchr(files[i].path, '/'));
        put(&worker, key);
    }
    worker_close(&worker);
    return NULL;
}

static void *restore(void *context)
{
    struct worker worker;
    char key[512], path[1024];
    size_t i;

    worker_open(&worker);
    while ((i = atomic_fetch_add(&next_object, 1) + 1) <= *(size_t *)context) {
        snprintf(key, sizeof key, "%s-%zu", key_prefix, i);
        snprintf(path, sizeof path, "%s/%zu", target, i);
        LZ4F_resetDecompressionContext(worker.decoder);
        get(&worker, key, path, true);
    }
    worker_close(&worker);
    return NULL;
}

static void *download(void *context)
{
    struct worker worker;
    size_t i;

    (void)context;
    worker_open(&worker);
    worker.drops = true;
    while ((i = atomic_fetch_add(&next_file, 1)) < file_count)
        get(&worker, files[i].path, NULL, true);
    worker_close(&worker);
    return NULL;
}

static void run_workers(const char *jobs, void *(*work)(void *context), void *context)
{
    pthread_t threads[JOBS_MOST];
    long count = strtol(jobs, NULL, 10);

    if (count < 1 || count > JOBS_MOST)
        die("so many jobs: %s", jobs);
    for (long i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, work, context) != 0)
            die("thread");
    for (long i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void run_segments(char **arguments)
{
    char path[1024];
    struct dirent **entries;
    int count = scandir(arguments[1], &entries, NULL, alphasort);

    key_prefix = arguments[2];
    for (int i = 0; i < count; i++)
        if (strlen(entries[i]->d_name) == 24) {
            snprintf(path, sizeof path, "%s/%s", arguments[1], entries[i]->d_name);
            add_file(path, 0);
        }
    if (file_count == 0)
        die("no segments in %s", arguments[1]);
    run_workers(arguments[0], push_segments, NULL);
}

static void run_read(char **arguments)
{
    off_t bytes = 0;

    find_files(arguments[1]);
    run_workers(arguments[0], pack_files, NULL);
    for (size_t i = 0; i < file_count; i++)
        bytes += files[i].bytes;
    printf("%lld %zu\n", (long long)bytes, atomic_load(&packed_bytes));
}

/* The number of objects lies between the two calls in a file of the current directory. */
static void run_backup(char **arguments)
{
    key_prefix = arguments[2];
    find_files(arguments[1]);
    run_workers(arguments[0], pack_files, NULL);
    FILE *file = fopen("floor-objects", "we");
    if (file == NULL || fprintf(file, "%zu\n", atomic_load(&next_object)) < 0 || fclose(file) != 0)
        die("floor-objects");
}

static void run_restore(char **arguments)
{
    size_t objects;

    key_prefix = arguments[1];
    target = arguments[2];
    FILE *file = fopen("floor-objects", "re");
    if (file == NULL || fscanf(file, "%zu", &objects) != 1 || mkdir(target, 0700) != 0)
        die("floor-objects");
    fclose(file);
    run_workers(arguments[0], restore, &objects);
    int fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0)
        die("could not sync %s", target);
}

static void read_list(const char *path)
{
    char line[1024];
    FILE *file = fopen(path, "re");

    if (file == NULL)
        die("%s", path);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        add_file(line, 0);
    }
    fclose(file);
}

static void run_download(char **arguments)
{
    read_list(arguments[1]);
    run_workers(arguments[0], download, NULL);
}

/* Only pages that are on disk can be dropped. */
static void run_forget(const char *list)
{
    read_list(list);
    for (size_t i = 0; i < file_count; i++) {
        int fd = open(files[i].path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fdatasync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
            die("could not forget %s", files[i].path);
        close(fd);
    }
}

int main(int argc, char **argv)
{
    struct worker worker;

    if (getenv("FLOOR_DIRECTORY") == NULL)
        curl_global_init(CURL_GLOBAL_DEFAULT);
    if (argc == 4 && strcmp(argv[1], "push") == 0) {
        worker_open(&worker);
        pack_file(&worker, argv[2], NULL);
        put(&worker, argv[3]);
    } else if (argc == 4 && strcmp(argv[1], "fetch") == 0) {
        worker_open(&worker);
        get(&worker, argv[2], argv[3], false);
    } else if (argc == 5 && strcmp(argv[1], "segments") == 0) {
        run_segments(argv + 2);
    } else if (argc == 4 && strcmp(argv[1], "read") == 0) {
        run_read(argv + 2);
    } else if (argc == 5 && strcmp(argv[1], "backup") == 0) {
        run_backup(argv + 2);
    } else if (argc == 5 && strcmp(argv[1], "restore") == 0) {
        run_restore(argv + 2);
    } else if (argc == 4 && strcmp(argv[1], "download") == 0) {
        run_download(argv + 2);
    } else if (argc == 3 && strcmp(argv[1], "forget") == 0) {
        run_forget(argv[2]);
    } else {
        die("usage: floor push|segments|fetch|backup|read|restore|download|forget ...");
    }
    return 0;
}
