/* What only a directory can be, as a store: a disk that comes or goes, links, files in the way, files that
 * change, file systems that tell no types. */
#include "common/config.h"
#include "common/file.h"
#include "common/log.h"
#include "questions.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static bool types_are_unknown;
static char vanishing[300]; /* the path of a file that goes away when it has been listed */
static char leaving[300];   /* that of a directory, when it has been looked at */

/* In front of the C library's. */
struct dirent *readdir(DIR *directory)
{
    static struct dirent *(*next)(DIR *);

    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "readdir64");
    struct dirent *item = next(directory);
    if (item != NULL && types_are_unknown)
        item->d_type = DT_UNKNOWN;
    if (item != NULL && *vanishing != '\0' && strcmp(item->d_name, path_name(vanishing)) == 0)
        CHECK(unlink(vanishing) == 0);
    return item;
}

int stat(const char *path, struct stat *status)
{
    static int (*next)(const char *, struct stat *);

    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "stat64");
    int result = next(path, status);
    if (*leaving != '\0' && strcmp(path, leaving) == 0) {
        *leaving = '\0';
        CHECK(rename(path, unit_path("%s.away", path)) == 0);
    }
    return result;
}

static const char *below(const struct repository_config *config, const char *rest)
{
    return unit_path("%s/%s/%s", config->path, base, rest);
}

static void test_links(struct store *store, const struct repository_config *config)
{
    struct store_listing listing = {NULL, NULL, 0, tell_key, NULL};
    struct buffer out = BUFFER_EMPTY;
    struct told told = {BUFFER_EMPTY, 0};

    CHECK(put_text(store, key("list/a/1"), "x", NULL) == STORE_OK);
    CHECK(put_text(store, key("elsewhere/2"), "x", NULL) == STORE_OK);
    CHECK(symlink(below(config, "elsewhere"), below(config, "list/b")) == 0);
    CHECK(symlink(below(config, "elsewhere/2"), below(config, "list/c")) == 0);
    check_list(store, "list/", NULL, 0, 0, "list/a/1;list/b/2;list/c;");
    CHECK(holds(store, key("list/b/2"), "x"));
    CHECK(store_list_folders(store, key("list/"), tell_folder, &told) == STORE_OK);
    CHECK_TEXT(buffer_string(&told.text), "a;b;");
    CHECK(unlink(below(config, "list/b")) == 0);
    CHECK(symlink("/nonexistent/place", below(config, "list/b")) == 0);
    listing.prefix = key("list/");
    listing.context = &told;
    unit_listen(); /* what lies there may be what is asked for */
    CHECK(store_list(store, &listing) == STORE_FAILED);
    CHECK(unit_heard("is a symbolic link that leads nowhere"));
    unit_listen();
    CHECK(store_list_folders(store, key("list/"), tell_folder, &told) == STORE_FAILED);
    CHECK(unit_heard("is a symbolic link that leads nowhere"));
    unit_listen();
    CHECK(get_text(store, key("list/b/2"), NULL, &out, NULL) == STORE_FAILED);
    CHECK(unit_heard("/list/b\" is a symbolic link that leads nowhere"));
    CHECK(get_text(store, key("list/a/2"), NULL, &out, NULL) == STORE_ABSENT);
    CHECK(unlink(below(config, "list/b")) == 0);
    buffer_free(&told.text);
    buffer_free(&out);
}

static void test_unknown_types(struct store *store, const struct repository_config *config)
{
    CHECK(put_text(store, key("list/d"), "x", NULL) == STORE_OK);
    types_are_unknown = true;
    check_list(store, "list/", NULL, 0, 0, "list/a/1;list/c;list/d;");
    snprintf(vanishing, sizeof vanishing, "%s", below(config, "list/d"));
    check_list(store, "list/", NULL, 0, 0, "list/a/1;list/c;");
    *vanishing = '\0';
    types_are_unknown = false;
}

static int shorten(void *context, const void *data, size_t length)
{
    (void)data;
    (void)length;
    return truncate(context, 4096);
}

static void test_changing_files(struct store *store, const struct repository_config *config)
{
    char *data = calloc(1, 2 * MEBIBYTE), *path = string_printf("%s", below(config, "long"));
    struct sink sink = {shorten, path};
    struct rlimit before, small;
    FILE *file = tmpfile();

    REQUIRE(data != NULL && path != NULL && file != NULL);
    struct body body = body_of(data, 2 * MEBIBYTE), from_file = body;
    CHECK(store_put_absent(store, key("long"), &body, STORE_CONDITION_UNKNOWN, NULL) == STORE_OK);
    unit_listen();
    CHECK(store_get(store, key("long"), NULL, &sink, NULL) == STORE_FAILED);
    CHECK(unit_heard("became shorter while it was read"));

    from_file.data = NULL;
    from_file.fd = fileno(file);
    CHECK(ftruncate(from_file.fd, MEBIBYTE) == 0);
    unit_listen();
    CHECK(store_put_absent(store, key("new"), &from_file, STORE_CONDITION_UNKNOWN, NULL) == STORE_FAILED);
    CHECK(unit_heard("could not read back a temporary file: it became shorter"));
    CHECK(ftruncate(from_file.fd, 2 * MEBIBYTE) == 0 && getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = (struct rlimit){MEBIBYTE, before.rlim_max};
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    unit_listen();
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    CHECK(store_put_absent(store, key("new"), &from_file, STORE_CONDITION_UNKNOWN, NULL) == STORE_FAILED);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(unit_heard("/new\": File too large"));
    signal(SIGXFSZ, SIG_DFL);
    CHECK(access(below(config, "new"), F_OK) != 0); /* nothing half */
    CHECK(store_put_absent(store, key("new"), &from_file, STORE_CONDITION_UNKNOWN, NULL) == STORE_OK);
    fclose(file);
    free(path);
    free(data);
}

static void test_in_the_way(const struct repository_config *config)
{
    const struct store_limits limits = {30, 0};
    struct store *store = store_open(config, &limits);

    CHECK(store != NULL);
    if (store == NULL)
        return;
    memcpy(base, "unit-directory", sizeof "unit-directory");
    test_links(store, config);
    test_unknown_types(store, config);
    test_changing_files(store, config);
    CHECK(put_text(store, key("file"), "x", NULL) == STORE_OK);
    unit_listen();
    CHECK(put_text(store, key("file/below"), "y", NULL) == STORE_FAILED);
    CHECK(unit_heard("/file\" exists but is not a directory"));
    unit_listen(); /* no earlier content is kept */
    CHECK(store_put_back(store, key("file"), "") == STORE_FAILED && holds(store, key("file"), "x"));
    CHECK(unit_heard("/file\" has no versions"));
    store_close(store);
}

/* A disk that comes or goes: another directory of that name is another place, for writers and readers. */
static void test_other_root(const struct repository_config *config)
{
    const struct store_limits limits = {30, 0};
    const struct store_listing listing = {"unit", NULL, 0, NULL, NULL};
    struct store *store = store_open(config, &limits);
    struct buffer out = BUFFER_EMPTY;
    struct body body = body_of("text", 4);
    struct stat status;
    char *away = string_printf("%s.away", config->path);

    CHECK(store != NULL && away != NULL);
    if (store == NULL || away == NULL)
        return;
    memcpy(base, "unit-root", sizeof "unit-root");
    CHECK(put_text(store, key("a"), "first", NULL) == STORE_OK);
    CHECK(rename(config->path, away) == 0 && mkdir(config->path, 0700) == 0);
    log_set_threshold(LOG_ERROR + 1);
    CHECK(get_text(store, key("a"), NULL, &out, NULL) == STORE_FAILED);
    CHECK(store_list(store, &listing) == STORE_FAILED);
    CHECK(put_text(store, key("a"), "second", NULL) == STORE_FAILED);
    CHECK(store_replace(store, key("b"), &body) == STORE_FAILED);
    CHECK(store_upload_begin(store, key("c"), 0, STORE_CONDITION_UNKNOWN) == NULL);
    log_set_threshold(LOG_INFO);
    CHECK(rmdir(config->path) == 0); /* nothing was made there */
    CHECK(rename(away, config->path) == 0);
    CHECK(holds(store, key("a"), "first"));

    /* it goes when it has been seen to be there */
    for (int i = 0; i < 3; i++) {
        snprintf(leaving, sizeof leaving, "%s", config->path);
        log_set_threshold(LOG_ERROR + 1);
        if (i == 0)
            CHECK(put_text(store, key("new/e"), "text", NULL) == STORE_FAILED);
        else if (i == 1)
            CHECK(store_replace(store, key("new/e"), &body) == STORE_FAILED);
        else
            CHECK(store_copy(store, key("a"), key("new/e")) == STORE_FAILED);
        log_set_threshold(LOG_INFO);
        CHECK(stat(config->path, &status) != 0 && errno == ENOENT);
        CHECK(rename(away, config->path) == 0);
    }

    struct store_upload *upload = store_upload_begin(store, key("d"), 0, STORE_CONDITION_UNKNOWN);
    char *inside = string_printf("%s/%s", config->path, base);
    REQUIRE(upload != NULL && inside != NULL);
    CHECK(rename(config->path, away) == 0 && mkdir(config->path, 0700) == 0 && mkdir(inside, 0700) == 0);
    log_set_threshold(LOG_ERROR + 1);
    CHECK(store_upload_finish(upload, NULL) == STORE_FAILED);
    log_set_threshold(LOG_INFO);
    unit_remove_tree(config->path);
    CHECK(rename(away, config->path) == 0);
    CHECK(store_delete(store, key("a"), NULL) == STORE_OK);
    store_close(store);

    /* what is made by the first call that writes */
    CHECK(rename(config->path, away) == 0);
    store = store_open(config, &limits);
    CHECK(store != NULL && stat(config->path, &status) != 0 && mkdir(config->path, 0700) == 0);
    if (store != NULL) {
        CHECK(put_text(store, key("a"), "first", NULL) == STORE_OK);
        CHECK(holds(store, key("a"), "first"));
        store_close(store);
    }
    unit_remove_tree(config->path);
    CHECK(rename(away, config->path) == 0);
    buffer_free(&out);
    free(inside);
    free(away);
}

/* A copy is a second name of the file: never over another, and only where the directory is. */
static void test_copy(struct repository_config *config)
{
    const struct store_limits limits = {30, 0};
    struct store *store = store_open(config, &limits);
    struct stat status;

    REQUIRE(store != NULL);
    CHECK(put_text(store, key("one"), "one", NULL) == STORE_OK &&
          put_text(store, key("two"), "two", NULL) == STORE_OK);
    CHECK(store_copy(store, key("one"), key("two")) == STORE_EXISTS && holds(store, key("two"), "two"));
    CHECK(store_copy(store, key("one"), key("new/one")) == STORE_OK);
    CHECK(stat(below(config, "new/one"), &status) == 0 && status.st_nlink == 2);
    unit_listen();
    CHECK(store_copy(store, key("one"), key("two/one")) ==
          STORE_FAILED); /* a file where a directory should be */
    CHECK(unit_heard("two"));
    CHECK(rename(config->path, unit_path("%s.away", config->path)) == 0);
    unit_listen();
    CHECK(store_copy(store, key("one"), key("other")) == STORE_FAILED);
    CHECK(unit_heard("is not there"));
    CHECK(rename(unit_path("%s.away", config->path), config->path) == 0);
    store_close(store);
}

int main(void)
{
    char parent[] = "/tmp/walferry-store-XXXXXX", path[64], name[] = "directory";
    struct repository_config config = {.name = name, .url = path, .kind = REPOSITORY_FILE, .path = path};

    log_open("test_store_file", LOG_INFO, false);
    REQUIRE(mkdtemp(parent) != NULL);
    snprintf(path, sizeof path, "%s/repository", parent);
    REQUIRE(mkdir(path, 0700) == 0);
    test_other_root(&config);
    test_in_the_way(&config);
    memcpy(base, "copies", sizeof "copies");
    test_copy(&config);
    unit_remove_tree(parent);
    return unit_done("store_file");
}
