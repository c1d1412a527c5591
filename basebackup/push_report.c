#include "push_report.h"

#include "backup_json.h"

static struct json *repositories_json(const struct targets *targets, struct catalog *catalog)
{
    struct json *array = json_new_array();

    for (size_t i = 0; i < targets->count; i++) {
        const struct target *target = &targets->items[i];
        struct json *object = json_new_object();
        json_set_string(object, "name", target->repository.settings->name);
        json_set_bool(object, "required", target->is_required);
        json_set_bool(object, "complete", catalog != NULL && target_is_alive(target));
        if (catalog != NULL && target_is_alive(target)) {
            json_set_string(object, "codec", codec_name(targets->lanes[target->lane].codec));
            json_set_uint(object, "stored_bytes", catalog_totals(catalog, target->lane).stored_bytes);
        }
        json_append(array, object);
    }
    return array;
}

void push_report(struct result *result, const struct backup *backup, const struct targets *targets,
                 struct catalog *catalog)
{
    json_set(result->document, "repositories", repositories_json(targets, catalog));
    if (catalog != NULL)
        backup_json_fill(result->document, backup, NULL);
    else {
        json_set_uint(result->document, "page_errors", backup->page_errors);
        json_set(result->document, "page_error_list", backup_page_errors_json(backup));
    }
    result_set_rate(result, backup->plain_bytes);
}
