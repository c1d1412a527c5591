/* What is remembered between calls: there and back, in the way of what a killed call left, and nowhere. */
#include "common/log.h"
#include "common/state.h"
#include "unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

static char directory[] = "/tmp/walferry-state-XXXXXX";

static const char *below(const char *name)
{
    static char path[300];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static bool remembers(const struct state *state, const char *text)
{
    struct buffer out = BUFFER_EMPTY;
    int64_t age = -1;
    bool same = state_read(state, "a", &out, &age) == 0 && age >= 0 && strcmp(buffer_string(&out), text) == 0;

    buffer_free(&out);
    return same;
}

static void test_remembering(const struct state *state)
{
    char left_over[100];
    struct buffer out = BUFFER_EMPTY;
    int64_t age;

    CHECK(state_read(state, "a", &out, &age) == 1);
    state_write(state, "a", "first", 5);
    CHECK(remembers(state, "first"));
    /* a killed call's, under the very name that this one takes */
    snprintf(left_over, sizeof left_over, ".a.%ld.walferry", (long)gettid());
    FILE *file = fopen(below(left_over), "w");
    CHECK(file != NULL && fputs("half of something longer", file) >= 0 && fclose(file) == 0);
    state_write(state, "a", "second", 6);
    CHECK(remembers(state, "second") && access(below(left_over), F_OK) != 0);
    /* something there that cannot be taken away: nothing is remembered, and what was stays */
    CHECK(mkdir(below(left_over), 0700) == 0);
    state_write(state, "a", "third", 5);
    CHECK(remembers(state, "second") && rmdir(below(left_over)) == 0);
    const struct timeval tomorrow[2] = {{time(NULL) + 86400, 0}, {time(NULL) + 86400, 0}};
    CHECK(utimes(below("a"), tomorrow) == 0 && state_read(state, "a", &out, &age) == 1);
    state_forget(state, "a");
    CHECK(access(below("a"), F_OK) != 0);
    buffer_free(&out);
}

static bool has_secret(const struct state *state)
{
    struct buffer out = BUFFER_EMPTY;
    bool same = state_read_secret(state, "s", &out) == 0 && strcmp(buffer_string(&out), "secret") == 0;

    CHECK(same || out.length == 0);
    buffer_wipe(&out);
    return same;
}

/* Only what nobody else could have read or put there is believed. */
static void test_secret(const struct state *state)
{
    struct stat status;

    CHECK(!has_secret(state));
    umask(0);
    state_write(state, "s", "secret", 6);
    CHECK(stat(below("s"), &status) == 0 && (status.st_mode & 07777) == 0600);
    CHECK(has_secret(state));
    CHECK(chmod(below("s"), 0640) == 0 && !has_secret(state));
    CHECK(chmod(below("s"), 0602) == 0 && !has_secret(state));
    CHECK(chmod(below("s"), 0600) == 0 && has_secret(state));
    if (geteuid() == 0) {
        CHECK(chown(below("s"), 1, 0) == 0 && !has_secret(state));
        CHECK(chown(below("s"), 0, 0) == 0 && has_secret(state));
    }
    char target[300];
    snprintf(target, sizeof target, "%s", below("t"));
    CHECK(rename(below("s"), target) == 0 && symlink(target, below("s")) == 0 && !has_secret(state));
    CHECK(unlink(below("s")) == 0 && unlink(target) == 0);
    CHECK(mkfifo(below("s"), 0600) == 0 && !has_secret(state) && unlink(below("s")) == 0);
    unit_write(below("s"), "", 0);
    CHECK(chmod(below("s"), 0600) == 0 && !has_secret(state) && unlink(below("s")) == 0);
    CHECK(!has_secret(&(struct state){NULL}));
}

/* Where it is not to be had it is no failure, and is left alone. */
static void test_nowhere(void)
{
    const struct config config = {.state_dir = directory};
    struct state state = {NULL};
    struct buffer out = BUFFER_EMPTY;
    int64_t age;
    const mode_t modes[] = {0710, 0701, 0777, 0700};

    FILE *file = fopen(below("a"), "w");
    CHECK(file != NULL && fputs("x", file) >= 0 && fclose(file) == 0);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        bool is_private = modes[i] == 0700;
        CHECK(chmod(directory, modes[i]) == 0);
        state_open(&config, &state);
        CHECK((state.directory != NULL) == is_private);
        CHECK((state_read(&state, "a", &out, &age) == 0) == is_private);
        state_write(&state, "b", "y", 1);
        CHECK((access(below("b"), F_OK) == 0) == is_private);
        state_forget(&state, "a");
        CHECK((access(below("a"), F_OK) != 0) == is_private);
        CHECK(is_private || state_lock(&state, "lock", 0) == -1);
        state_close(&state);
    }
    buffer_free(&out);
}

int main(void)
{
    const struct state state = {directory};

    log_open("test_state", LOG_ERROR, false);
    if (mkdtemp(directory) == NULL)
        return 1;
    test_remembering(&state);
    test_secret(&state);
    test_nowhere();
    unit_remove_tree(directory);
    return unit_done("state");
}
