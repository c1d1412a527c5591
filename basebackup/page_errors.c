#include "page_errors.h"

#include "common/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct page_errors {
    pthread_mutex_t lock;
    struct backup_page_error *items;
    size_t count;
};

struct page_errors *page_errors_new(void)
{
    struct page_errors *errors = calloc(1, sizeof *errors);

    if (errors == NULL)
        log_out_of_memory();
    else
        pthread_mutex_init(&errors->lock, NULL);
    return errors;
}

void page_errors_free(struct page_errors *errors)
{
    if (errors == NULL)
        return;
    for (size_t i = 0; i < errors->count; i++)
        free(errors->items[i].file);
    free(errors->items);
    pthread_mutex_destroy(&errors->lock);
    free(errors);
}

static int append(struct page_errors *errors, const struct backup_page_error *error)
{
    if (errors->items == NULL)
        errors->items = calloc(BACKUP_PAGE_ERRORS_MOST, sizeof *errors->items);
    if (errors->items == NULL)
        return log_out_of_memory();
    if (errors->count == BACKUP_PAGE_ERRORS_MOST)
        return 0;
    struct backup_page_error *item = &errors->items[errors->count];
    *item = *error;
    item->file = string_copy(error->file);
    if (item->file == NULL)
        return -1;
    errors->count++;
    return 0;
}

int page_errors_add(struct page_errors *errors, const struct backup_page_error *error)
{
    pthread_mutex_lock(&errors->lock);
    int result = append(errors, error);
    pthread_mutex_unlock(&errors->lock);
    return result;
}

static int compare(const void *left, const void *right)
{
    const struct backup_page_error *a = left, *b = right;
    int files = strcmp(a->file, b->file);

    return files != 0 ? files : (a->block > b->block) - (a->block < b->block);
}

void page_errors_take(struct page_errors *errors, struct backup *backup)
{
    if (errors->count > 1)
        qsort(errors->items, errors->count, sizeof *errors->items, compare);
    backup->page_error_list = errors->items;
    backup->page_error_list_count = errors->count;
    errors->items = NULL;
    errors->count = 0;
}
