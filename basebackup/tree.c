#include "tree.h"

#include "common/file.h"
#include "common/log.h"
#include "exclude.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tree_walker {
    char version_directory[32];
    unsigned postgresql_version;
    char *stats_directory;         /* relative to the data directory; NULL: none inside */
    struct walk_place *kept_empty; /* places of the tablespaces */
    size_t kept_empty_count;
    const struct tree_directory **sorted; /* of tree->directories, to be found by name */
    pthread_mutex_t lock;                 /* guards what follows */
    struct walk *walk;
    size_t root; /* that is walked, or will be next */
};

void tree_index_path(const struct tree_root *root, const char *path, char *out)
{
    snprintf(out, TREE_PATH_BYTES, "%s%s", root->prefix, path);
}

static struct tree_root *add_root(struct tree *tree, const char *directory)
{
    struct tree_root *roots = realloc(tree->roots, (tree->root_count + 1) * sizeof *roots);

    if (roots == NULL) {
        log_out_of_memory();
        return NULL;
    }
    tree->roots = roots;
    struct tree_root *root = &roots[tree->root_count];
    memset(root, 0, sizeof *root);
    root->directory = string_copy(directory);
    if (root->directory == NULL)
        return NULL;
    root->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tree->root_count++;
    return root;
}

static int add_place(struct tree_walker *walker, int fd)
{
    struct walk_place *places = realloc(walker->kept_empty, (walker->kept_empty_count + 1) * sizeof *places);
    struct stat status;

    if (places == NULL)
        return log_out_of_memory();
    walker->kept_empty = places;
    if (fstat(fd, &status) == 0)
        places[walker->kept_empty_count++] = (struct walk_place){status.st_dev, status.st_ino};
    return 0;
}

static bool has_tablespace(const struct tree *tree, uint32_t oid)
{
    for (size_t i = 1; i < tree->root_count; i++)
        if (tree->roots[i].oid == oid)
            return true;
    return false;
}

/* name: the OID; link: of pg_tblspc, which points to the location. */
static int add_tablespace(struct tree *tree, int directory_fd, const char *name)
{
    char location[WALK_PATH_BYTES];
    ssize_t length = readlinkat(directory_fd, name, location, sizeof location - 1);
    struct relation_name oid;

    /* A directory is a tablespace made in place, which belongs to the data directory. */
    if (length < 0 && (errno == EINVAL || errno == ENOENT))
        return 0;
    if (length < 0 || length == (ssize_t)sizeof location - 1) {
        log_error("could not read symbolic link \"pg_tblspc/%s\": %m", name);
        return -1;
    }
    location[length] = '\0';
    if (!relation_name_parse(name, &oid) || location[0] != '/') {
        log_warning("symbolic link \"pg_tblspc/%s\" to \"%s\" is no tablespace and is left out", name,
                    location);
        return 0;
    }
    if (has_tablespace(tree, oid.number)) /* told twice */
        return 0;
    struct tree_root *root = add_root(tree, location);
    if (root == NULL)
        return -1;
    int error = errno;
    root->oid = oid.number;
    snprintf(root->prefix, sizeof root->prefix, "pg_tblspc/%u/", (unsigned)oid.number);
    snprintf(root->series.prefix, sizeof root->series.prefix, "%u", (unsigned)oid.number);
    if (root->fd >= 0)
        return add_place(tree->walker, root->fd);
    if (error == ENOENT) /* dropped this very moment */
        return 0;
    errno = error;
    log_error("could not open directory \"%s\" of tablespace %u: %m", location, (unsigned)oid.number);
    return -1;
}

static int add_tablespaces(struct tree *tree)
{
    int fd = openat(tree->roots[0].fd, "pg_tblspc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *item;
    int result = 0;

    if (directory == NULL) {
        log_error("could not open directory \"%s/pg_tblspc\": %m", tree->roots[0].directory);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    while (result == 0 && (errno = 0, item = readdir(directory)) != NULL)
        if (item->d_name[0] != '.' && !exclude_name("pg_tblspc", item->d_name))
            result = add_tablespace(tree, dirfd(directory), item->d_name);
    if (result == 0 && errno != 0) {
        log_error("could not read directory \"%s/pg_tblspc\": %m", tree->roots[0].directory);
        result = -1;
    }
    closedir(directory);
    return result;
}

/* The setting may be relative or absolute; only a place inside the data directory matters. */
static int set_stats_directory(struct tree *tree, const char *setting)
{
    const char *data_directory = tree->roots[0].directory, *inside = setting;
    size_t length = strlen(data_directory);

    if (setting == NULL)
        return 0;
    if (*setting == '/') {
        if (strncmp(setting, data_directory, length) != 0 || setting[length] != '/')
            return 0;
        inside = setting + length;
        while (*inside == '/')
            inside++;
    } else if (strncmp(setting, "./", 2) == 0)
        inside = setting + 2;
    tree->walker->stats_directory = string_copy(inside);
    return tree->walker->stats_directory == NULL ? -1 : 0;
}

int tree_open(const char *data_directory, const struct pg_control *control, unsigned postgresql_version,
              const char *stats_directory, struct tree *tree)
{
    struct tree_root *root;

    memset(tree, 0, sizeof *tree);
    tree->walker = calloc(1, sizeof *tree->walker);
    if (tree->walker == NULL)
        return log_out_of_memory();
    pthread_mutex_init(&tree->walker->lock, NULL);
    tree->walker->postgresql_version = postgresql_version;
    snprintf(tree->walker->version_directory, sizeof tree->walker->version_directory, "PG_%u_%u",
             postgresql_version, (unsigned)control->catalog_version);
    root = add_root(tree, data_directory);
    if (root == NULL)
        goto failed;
    if (root->fd < 0) {
        log_error("could not open directory \"%s\": %m", data_directory);
        goto failed;
    }
    memcpy(root->series.prefix, "main", sizeof "main");
    if (set_stats_directory(tree, stats_directory) == 0 && add_tablespaces(tree) == 0)
        return 0;
failed:
    tree_close(tree);
    return -1;
}

void tree_close(struct tree *tree)
{
    if (tree == NULL)
        return;
    for (size_t i = 0; i < tree->root_count; i++) {
        if (tree->roots[i].fd >= 0)
            close(tree->roots[i].fd);
        free(tree->roots[i].directory);
    }
    for (size_t i = 0; i < tree->directory_count; i++)
        free(tree->directories[i].path);
    if (tree->walker != NULL) {
        walk_close(tree->walker->walk);
        pthread_mutex_destroy(&tree->walker->lock);
        free(tree->walker->stats_directory);
        free(tree->walker->kept_empty);
        free(tree->walker->sorted);
    }
    free(tree->walker);
    free(tree->directories);
    free(tree->roots);
    memset(tree, 0, sizeof *tree);
}

/* scans: for tree_scan; else for the copy. */
static struct walk *open_walk(const struct tree *tree, size_t root, bool scans, bool wants_sizes)
{
    const struct tree_walker *walker = tree->walker;
    struct walk_settings settings = {
        .root = tree->roots[root].directory,
        .is_tablespace = tree->roots[root].oid != 0,
        .version_directory = walker->version_directory,
        .postgresql_version = walker->postgresql_version,
        .stats_directory = tree->roots[root].oid == 0 ? walker->stats_directory : NULL,
        .kept_empty = walker->kept_empty,
        .kept_empty_count = walker->kept_empty_count,
        .only_directories = scans && !wants_sizes,
        .wants_sizes = wants_sizes,
        .tells_unlogged = !scans,
        .is_silent = !scans,
    };

    return walk_open(&settings);
}

static int add_directory(struct tree *tree, size_t root, const struct walk_entry *entry)
{
    if (tree->directory_count % 256 == 0) {
        struct tree_directory *more =
            realloc(tree->directories, (tree->directory_count + 256) * sizeof *tree->directories);
        if (more == NULL)
            return log_out_of_memory();
        tree->directories = more;
    }
    char *path = string_copy(entry->path);
    if (path == NULL)
        return -1;
    tree->directories[tree->directory_count++] = (struct tree_directory){root, path, entry->mode};
    return 0;
}

static int compare_directories(const struct tree_directory *a, const struct tree_directory *b)
{
    if (a->root != b->root)
        return a->root < b->root ? -1 : 1;
    return strcmp(a->path, b->path);
}

static int compare_sorted(const void *a, const void *b)
{
    return compare_directories(*(const struct tree_directory *const *)a,
                               *(const struct tree_directory *const *)b);
}

static int sort_directories(struct tree *tree)
{
    const struct tree_directory **sorted =
        calloc(tree->directory_count + 1, sizeof(const struct tree_directory *));

    if (sorted == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < tree->directory_count; i++)
        sorted[i] = &tree->directories[i];
    qsort(sorted, tree->directory_count, sizeof(const struct tree_directory *), compare_sorted);
    tree->walker->sorted = sorted;
    return 0;
}

static int scan_root(struct tree *tree, size_t root, bool wants_sizes, struct walk_entry *entry)
{
    struct walk *walk = open_walk(tree, root, true, wants_sizes);
    int told = -1;

    if (walk == NULL)
        return -1;
    while ((told = walk_next(walk, entry)) == 1) {
        if (!entry->is_directory) /* NOLINT(clang-analyzer-core.NullDereference): not after result = -1 */
            tree->bytes += entry->bytes;
        else if (add_directory(tree, root, entry) != 0) {
            told = -1;
            break;
        }
    }
    walk_close(walk);
    return told;
}

int tree_scan(struct tree *tree, bool wants_sizes)
{
    struct walk_entry *entry = malloc(sizeof *entry);
    int result = entry == NULL ? log_out_of_memory() : 0;

    for (size_t root = 0; root < tree->root_count && result == 0; root++)
        result = scan_root(tree, root, wants_sizes, entry);
    free(entry);
    return result == 0 ? sort_directories(tree) : -1;
}

bool tree_holds_relations(const struct tree *tree, const struct tree_root *root, const char *directory)
{
    const struct walk_settings settings = {.is_tablespace = root->oid != 0,
                                           .version_directory = tree->walker->version_directory};

    return walk_holds_relations(&settings, directory);
}

bool tree_has_directory(const struct tree *tree, const struct tree_root *root, const char *path)
{
    struct tree_directory wanted = {(size_t)(root - tree->roots), (char *)path, 0};
    const struct tree_directory *key = &wanted;

    return *path == '\0' || bsearch(&key, tree->walker->sorted, tree->directory_count,
                                    sizeof(const struct tree_directory *), compare_sorted) != NULL;
}

/* Under the lock. */
static int next_locked(struct tree *tree, struct catalog *catalog, struct walk_entry *entry)
{
    struct tree_walker *walker = tree->walker;
    char path[TREE_PATH_BYTES];

    while (walker->root < tree->root_count) {
        if (walker->walk == NULL && (walker->walk = open_walk(tree, walker->root, false, false)) == NULL)
            return -1;
        int told = walk_next(walker->walk, entry);
        if (told < 0)
            return -1;
        if (told == 0) {
            walk_close(walker->walk);
            walker->walk = NULL;
            walker->root++;
            continue;
        }
        if (!entry->is_directory)
            return 1;
        if (tree_has_directory(tree, &tree->roots[walker->root], entry->path))
            continue;
        tree_index_path(&tree->roots[walker->root], entry->path, path);
        return catalog_add_directory(catalog, path, entry->mode) == 0 ? 1 : -1;
    }
    return 0;
}

int tree_next(struct tree *tree, struct catalog *catalog, struct tree_root **root, struct walk_entry *entry)
{
    pthread_mutex_lock(&tree->walker->lock);
    int told = next_locked(tree, catalog, entry);
    if (told == 1)
        *root = &tree->roots[tree->walker->root];
    pthread_mutex_unlock(&tree->walker->lock);
    return told;
}
