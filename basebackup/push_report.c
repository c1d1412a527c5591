#include "push_report.h"

#include "backup_json.h"

static struct json *repositories_json(const struct targets *targets, bool is_stored)
{
    struct json *array = json_new_array();

    for (size_t i = 0; i < targets->count; i++) {
        const struct target *target = &targets->items[i];
        struct json *object = json_new_object();
        json_set_string(object, "name", target->repository.settings->name);
        json_set_bool(object, "required", target->is_required);
        json_set_bool(object, "complete", is_stored && target_is_alive(target));
        json_append(array, object);
    }
    return array;
}

void push_report(struct result *result, const struct backup *backup, const struct targets *targets,
                 bool is_stored)
{
    json_set(result->document, "repositories", repositories_json(targets, is_stored));
    if (is_stored)
        backup_json_fill(result->document, backup, NULL);
    else {
        json_set_uint(result->document, "page_errors", backup->page_errors);
        json_set(result->document, "page_error_list", backup_page_errors_json(backup));
    }
    result_set_rate(result, backup->plain_bytes);
}
