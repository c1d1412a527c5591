#include "outcome_note.h"

#include "document.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCK_NAME "outcome.lock"
#define LOCK_MILLISECONDS 2000

char *outcome_note_name(const char *program, const char *cluster)
{
    return string_printf("outcome-%s-%s.json", program, cluster);
}

/* Reading */

static void take_text(const struct json *object, const char *name, char *out, size_t bytes)
{
    const char *text = json_text(object, name);

    snprintf(out, bytes, "%s", text == NULL ? "" : text);
    log_blank_control_characters(out);
}

static void read_repositories(const struct json *list, struct outcome_run *run)
{
    for (size_t i = 0; i < json_array_length(list) && run->repository_count < OUTCOME_REPOSITORIES_MOST;
         i++) {
        struct outcome_repository *repository = &run->repositories[run->repository_count];
        const struct json *item = json_array_item(list, i);
        take_text(item, "name", repository->name, sizeof repository->name);
        repository->is_done = false;
        json_bool(item, "done", &repository->is_done);
        run->repository_count += repository->name[0] != '\0';
    }
}

static void read_run(const struct json *object, struct outcome_run *run)
{
    *run = (struct outcome_run){.status = 0};
    if (object == NULL || !document_time(object, "started", &run->started) ||
        !document_time(object, "ended", &run->ended)) {
        run->started = run->ended = 0;
        return;
    }
    json_uint(object, "milliseconds", &run->milliseconds);
    json_uint(object, "status", &run->status);
    json_uint(object, "signal", &run->signal);
    take_text(object, "error", run->kind, sizeof run->kind);
    take_text(object, "message", run->message, sizeof run->message);
    take_text(object, "mode", run->mode, sizeof run->mode);
    take_text(object, "backup", run->backup, sizeof run->backup);
    run->has_bytes = json_uint(object, "bytes", &run->bytes) == 0;
    json_uint(object, "stored_bytes", &run->stored_bytes);
    json_uint(object, "requests", &run->requests);
    json_uint(object, "retries", &run->retries);
    read_repositories(json_list(object, "repositories"), run);
}

static void read_kinds(const struct json *list, struct outcome_note *note)
{
    for (size_t i = 0; i < json_array_length(list) && note->kind_count < OUTCOME_KINDS_MOST; i++) {
        struct outcome_kind_count *count = &note->kinds[note->kind_count];
        const struct json *item = json_array_item(list, i);
        take_text(item, "kind", count->kind, sizeof count->kind);
        if (json_uint(item, "count", &count->count) == 0 && count->kind[0] != '\0')
            note->kind_count++;
    }
}

/* Is it of this program and cluster? A file that was renamed or copied is not believed. */
static bool is_of(const struct json *document, const char *program, const char *cluster)
{
    const char *its_program = json_text(document, "program"), *its_cluster = json_text(document, "cluster");

    return its_program != NULL && its_cluster != NULL && strcmp(its_program, program) == 0 &&
           strcmp(its_cluster, cluster) == 0;
}

static void read_last(const char *last, struct outcome_note *note)
{
    if (last != NULL && strcmp(last, "success") == 0 && note->success.ended != 0)
        note->last = OUTCOME_SUCCESS;
    else if (last != NULL && strcmp(last, "failure") == 0 && note->failure.ended != 0)
        note->last = OUTCOME_FAILURE;
}

static int parse(const struct buffer *text, const char *program, const char *cluster,
                 struct outcome_note *note)
{
    bool muted = log_mute_thread(true); /* what is damaged is begun anew */
    struct json *document = document_open(text->data, text->length, "outcome", "the note of the last runs");
    int result = 1;

    log_mute_thread(muted);
    if (document != NULL && is_of(document, program, cluster)) {
        json_uint(document, "runs", &note->runs);
        json_uint(document, "failures", &note->failures);
        json_uint(document, "requests", &note->requests);
        json_uint(document, "retries", &note->retries);
        read_kinds(json_list(document, "errors"), note);
        read_run(json_member(document, "last_success"), &note->success);
        read_run(json_member(document, "last_failure"), &note->failure);
        read_last(json_text(document, "last"), note);
        result = 0;
    }
    json_free(document);
    return result;
}

int outcome_note_read(const struct state *state, const char *program, const char *cluster,
                      struct outcome_note *note)
{
    struct buffer text = BUFFER_EMPTY;
    char *name = outcome_note_name(program, cluster);
    int result = 1;

    memset(note, 0, sizeof *note);
    if (name != NULL && state_read_of_any_age(state, name, &text) == 0)
        result = parse(&text, program, cluster, note);
    buffer_free(&text);
    free(name);
    return result;
}

/* Writing */

static struct json *repositories_json(const struct outcome_run *run)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < run->repository_count; i++) {
        struct json *item = json_new_object();
        json_set_text(item, "name", run->repositories[i].name);
        json_set_bool(item, "done", run->repositories[i].is_done);
        json_append(list, item);
    }
    return list;
}

static void set_text(struct json *object, const char *name, const char *text)
{
    if (text[0] != '\0')
        json_set_text(object, name, text);
}

static void set_run(struct json *document, const char *name, const struct outcome_run *run)
{
    struct json *object;

    if (run->ended == 0)
        return;
    object = json_new_object();
    document_set_time(object, "started", run->started);
    document_set_time(object, "ended", run->ended);
    json_set_uint(object, "milliseconds", run->milliseconds);
    json_set_uint(object, "status", run->status);
    if (run->signal != 0)
        json_set_uint(object, "signal", run->signal);
    set_text(object, "error", run->kind);
    set_text(object, "message", run->message);
    set_text(object, "mode", run->mode);
    set_text(object, "backup", run->backup);
    if (run->has_bytes) {
        json_set_uint(object, "bytes", run->bytes);
        json_set_uint(object, "stored_bytes", run->stored_bytes);
    }
    json_set_uint(object, "requests", run->requests);
    json_set_uint(object, "retries", run->retries);
    json_set(object, "repositories", repositories_json(run));
    json_set(document, name, object);
}

static int write_note(const struct state *state, const char *name, const char *program, const char *cluster,
                      const struct outcome_note *note)
{
    struct json *document = document_new("outcome"), *errors = json_new_array();
    struct buffer text = BUFFER_EMPTY;

    json_set_string(document, "program", program);
    json_set_string(document, "cluster", cluster);
    json_set_uint(document, "runs", note->runs);
    json_set_uint(document, "failures", note->failures);
    json_set_uint(document, "requests", note->requests);
    json_set_uint(document, "retries", note->retries);
    for (size_t i = 0; i < note->kind_count; i++) {
        struct json *item = json_new_object();
        json_set_text(item, "kind", note->kinds[i].kind);
        json_set_uint(item, "count", note->kinds[i].count);
        json_append(errors, item);
    }
    json_set(document, "errors", errors);
    set_run(document, "last_success", &note->success);
    set_run(document, "last_failure", &note->failure);
    json_set_string(document, "last", note->last == OUTCOME_FAILURE ? "failure" : "success");
    int result = document_seal(document, &text);
    if (result == 0)
        result = state_keep(state, name, text.data, text.length);
    buffer_free(&text);
    return result;
}

static void count_kind(struct outcome_note *note, const char *kind)
{
    size_t i = 0;

    while (i < note->kind_count && strcmp(note->kinds[i].kind, kind) != 0)
        i++;
    if (i == OUTCOME_KINDS_MOST)
        return;
    if (i == note->kind_count)
        snprintf(note->kinds[note->kind_count++].kind, OUTCOME_KIND_BYTES, "%s", kind);
    note->kinds[i].count++;
}

static void take_run(struct outcome_note *note, const struct outcome_run *run)
{
    note->runs++;
    note->requests += run->requests;
    note->retries += run->retries;
    if (run->status == 0) {
        note->success = *run;
        note->last = OUTCOME_SUCCESS;
        return;
    }
    note->failure = *run;
    note->last = OUTCOME_FAILURE;
    note->failures++;
    count_kind(note, run->kind);
}

int outcome_note_add(const struct state *state, const char *program, const char *cluster,
                     const struct outcome_run *run, struct outcome_note *note)
{
    struct outcome_note own;
    char *name = outcome_note_name(program, cluster);
    int result = -1, lock;

    if (note == NULL)
        note = &own;
    memset(note, 0, sizeof *note);
    if (state->directory == NULL) {
        free(name);
        return 0;
    }
    /* Two runs that end at once: who can't wait loses a count at worst. */
    lock = state_lock(state, LOCK_NAME, LOCK_MILLISECONDS);
    outcome_note_read(state, program, cluster, note);
    take_run(note, run);
    if (name != NULL) {
        bool muted = log_mute_thread(true);
        result = write_note(state, name, program, cluster, note);
        log_mute_thread(muted);
    }
    if (lock >= 0)
        close(lock);
    if (result != 0) {
        log_warning("could not note the outcome of this run in directory \"%s\"", state->directory);
        log_hint("Is there room, and may this user write there? walferry-status does not know of this run.");
    }
    free(name);
    return result;
}
