/* postgresql.auto.conf: what is put in can be taken back; and backup_label. */
#include "fuzz.h"

#include "recovery-config/data_directory.h"
#include "recovery-config/settings.h"

static void fuzz_settings_text(const struct settings *settings, struct buffer *out)
{
    buffer_clear(out);
    FUZZ_CHECK(settings_write(settings, false, out) == 0);
}

static void fuzz_settings_put(struct settings *settings)
{
    struct setting_list list = {.count = 0};
    struct settings again = {NULL, 0, 0};
    struct buffer clean = BUFFER_EMPTY, text = BUFFER_EMPTY, back = BUFFER_EMPTY;

    settings_take_back(settings);
    fuzz_settings_text(settings, &clean);
    FUZZ_CHECK(setting_list_add(&list, "restore_command", "'/usr/bin/wal-fetch' \"%f\" \"%p\"") == 0 &&
               setting_list_add(&list, "recovery_target_time", "it's \\ 2026") == 0);
    if (settings_put(settings, &list) == 0) {
        fuzz_settings_text(settings, &text);
        FUZZ_CHECK(settings_parse(buffer_string(&text), text.length, &again) == 0);
        if (again.malformed_line == 0) {
            FUZZ_CHECK(strcmp(settings_value(&again, "recovery_target_time"), "it's \\ 2026") == 0);
            FUZZ_CHECK(settings_has_ours(&again));
        }
        settings_take_back(&again);
        fuzz_settings_text(&again, &back);
        FUZZ_CHECK(strcmp(buffer_string(&clean), buffer_string(&back)) == 0);
    }
    settings_free(&again);
    setting_list_free(&list);
    buffer_free(&clean);
    buffer_free(&text);
    buffer_free(&back);
}

static void fuzz_settings_label(const uint8_t *data, size_t length)
{
    struct data_directory directory = {.path = "the input"};
    char *text = strndup((const char *)data, length);

    FUZZ_CHECK(text != NULL);
    if (backup_label_parse(text, &directory))
        FUZZ_CHECK(directory.label != NULL);
    data_directory_free(&directory);
    free(text);
}

FUZZ_TARGET(settings)
{
    struct settings settings = {NULL, 0, 0};
    struct buffer text = BUFFER_EMPTY;
    char *copy = malloc(length + (length == 0));

    FUZZ_CHECK(copy != NULL);
    memcpy(copy, data, length);
    if (settings_parse(copy, length, &settings) == 0) {
        settings_value(&settings, "restore_command");
        settings_has_ours(&settings);
        FUZZ_CHECK(settings_write(&settings, true, &text) == 0);
        fuzz_settings_put(&settings);
    }
    settings_free(&settings);
    buffer_free(&text);
    free(copy);
    fuzz_settings_label(data, length);
    return 0;
}
