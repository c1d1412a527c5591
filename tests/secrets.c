/* Looks for a test's secrets where none may be.
 *
 *   secrets find REGISTRY PLACES ROOT OUTPUT   in all files below the directory ROOT, and in the file OUTPUT;
 *                                              a line for each find, and exit status 1
 *   secrets watch ROOT PROGRAMS                in the processes, until SIGTERM: arguments of the programs in
 * the directory PROGRAMS, arguments and environment of their children; and whether the programs' memory can
 * be read. A find goes to ROOT/TEST/.secrets.seen of the test that registered the secret
 *
 * A registry (ROOT/TEST/.secrets) has lines "NAME HEX": the bytes of a secret, which is looked for as it is,
 * in hex, in base64 and percent-encoded. PLACES has lines of patterns, relative to ROOT, of the files in
 * which secrets may be ("private:PATTERN": as long as nobody else may read them). Of OUTPUT the lines with
 * which a scenario says what it calls are passed over. No secret is ever printed. */
#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECRET_BYTES_MOST 4096
#define SECRET_BYTES_LEAST 6
#define KEY_BYTES 32
#define BLOCK_BYTES (1 << 20)
#define OUTPUT_FINDS_MOST 20
#define SWEEP_MILLISECONDS 100
#define OPEN_SWEEPS 3

struct needle {
    unsigned char *bytes;
    size_t length;
    char *what; /* "NAME, FORM" */
    size_t owner;
};

static struct needle *needles;
static size_t needle_count;
static bool begins[65536]; /* the first two bytes of any */
static unsigned finds;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "secrets: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void *need(void *memory)
{
    if (memory == NULL)
        die("memory");
    return memory;
}

/* ---- what is looked for */

static void needles_forget(void)
{
    for (size_t i = 0; i < needle_count; i++) {
        free(needles[i].bytes);
        free(needles[i].what);
    }
    needle_count = 0;
    memset(begins, 0, sizeof begins);
}

static void needle_add(const char *name, const char *form, const void *bytes, size_t length, size_t owner)
{
    struct needle *added;

    for (size_t i = 0; i < needle_count; i++)
        if (needles[i].length == length && needles[i].owner == owner &&
            memcmp(needles[i].bytes, bytes, length) == 0)
            return;
    needles = need(realloc(needles, (needle_count + 1) * sizeof *needles));
    added = &needles[needle_count++];
    added->bytes = need(malloc(length));
    memcpy(added->bytes, bytes, length);
    added->length = length;
    added->owner = owner;
    if (asprintf(&added->what, "%s, %s", name, form) < 0)
        die("memory");
    begins[added->bytes[0] << 8 | added->bytes[1]] = true;
}

static size_t to_hex(const unsigned char *bytes, size_t length, const char *digits, char *out)
{
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    return 2 * length;
}

/* Without the padding: what it ends in depends on what follows. */
static size_t to_base64(const unsigned char *bytes, size_t length, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t written = 0;

    for (size_t bit = 0; bit + 6 <= length * 8; bit += 6) {
        unsigned pair = (unsigned)bytes[bit / 8] << 8 | (bit / 8 + 1 < length ? bytes[bit / 8 + 1] : 0U);
        out[written++] = digits[pair >> (10 - bit % 8) & 63];
    }
    return written;
}

static size_t to_percent(const unsigned char *bytes, size_t length, char *out)
{
    size_t written = 0;

    for (size_t i = 0; i < length; i++) {
        if (isalnum(bytes[i]) || (bytes[i] != 0 && strchr("-_.~", bytes[i]) != NULL)) {
            out[written++] = (char)bytes[i];
        } else {
            out[written++] = '%';
            written += to_hex(bytes + i, 1, "0123456789ABCDEF", out + written);
        }
    }
    return written;
}

static size_t from_hex(const char *text, size_t length, unsigned char *out)
{
    for (size_t i = 0; i < length; i++)
        if (!isxdigit((unsigned char)text[i]))
            return 0;
    for (size_t i = 0; i < length / 2; i++)
        sscanf(text + 2 * i, "%2hhx", &out[i]);
    return length / 2;
}

static void secret_add(const char *name, const unsigned char *bytes, size_t length, size_t owner)
{
    static char text[3 * SECRET_BYTES_MOST];
    unsigned char key[KEY_BYTES];

    while (length > SECRET_BYTES_LEAST && bytes[length - 1] == '\n')
        length--;
    if (length == 2 * KEY_BYTES && from_hex((const char *)bytes, length, key) == KEY_BYTES)
        secret_add(name, key, KEY_BYTES, owner);
    needle_add(name, "as it is", bytes, length, owner);
    needle_add(name, "in hex", text, to_hex(bytes, length, "0123456789abcdef", text), owner);
    needle_add(name, "in hex", text, to_hex(bytes, length, "0123456789ABCDEF", text), owner);
    needle_add(name, "in base64", text, to_base64(bytes, length, text), owner);
    needle_add(name, "percent-encoded", text, to_percent(bytes, length, text), owner);
}

/* False when there is none. */
static bool registry_read(const char *path, size_t owner)
{
    static char line[2 * SECRET_BYTES_MOST + 256];
    static unsigned char bytes[SECRET_BYTES_MOST];
    FILE *file = fopen(path, "r");

    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        char *hex = strrchr(line, ' ');
        size_t length = 0;
        if (hex == NULL || strchr(hex, '\n') == NULL)
            continue; /* is being written */
        *hex++ = '\0';
        for (; length < sizeof bytes && sscanf(hex + 2 * length, "%2hhx", &bytes[length]) == 1; length++)
            ;
        if (length >= SECRET_BYTES_LEAST) {
            secret_add(line, bytes, length, owner);
        } else {
            fprintf(stderr, "secrets: %s: %s is too short to be looked for\n", path, line);
            exit(2);
        }
    }
    fclose(file);
    return true;
}

/* The first that is found, or NULL. */
static const struct needle *search(const unsigned char *data, size_t length)
{
    for (size_t i = 0; i + SECRET_BYTES_LEAST <= length; i++) {
        if (!begins[data[i] << 8 | data[i + 1]])
            continue;
        for (size_t n = 0; n < needle_count; n++)
            if (needles[n].length <= length - i && memcmp(needles[n].bytes, data + i, needles[n].length) == 0)
                return &needles[n];
    }
    return NULL;
}

/* ---- files */

static char *patterns[256];
static size_t pattern_count, root_length;
static unsigned long long searched_files, searched_bytes;

static void tell(const char *path, const char *what)
{
    finds++;
    printf("SECRET: %s holds %s\n", path, what);
}

/* Lines with which a scenario says what it does: of its own making. */
static bool is_said(const char *line)
{
    static const char *const marks[] = {"$ ", "-- row ", "WRONG: row ", "race: ", "in turn: "};

    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (strncmp(line, marks[i], strlen(marks[i])) == 0)
            return true;
    return false;
}

static void search_output(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t length;

    while (file != NULL && (length = getline(&line, &room, file)) >= 0) {
        const struct needle *found =
            is_said(line) ? NULL : search((const unsigned char *)line, (size_t)length);
        number++;
        if (found != NULL && ++finds < OUTPUT_FINDS_MOST) {
            printf("SECRET: line %zu of this output holds %s\n", number, found->what);
        }
    }
    free(line);
    if (file != NULL)
        fclose(file);
}

static void search_file(const char *path, const char *name)
{
    static unsigned char block[BLOCK_BYTES + 4 * SECRET_BYTES_MOST];
    size_t kept = 0, most = SECRET_BYTES_LEAST;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    off_t at = 0;
    ssize_t got;

    if (fd < 0) {
        if (errno != ENOENT)
            die(path);
        return;
    }
    for (size_t n = 0; n < needle_count; n++)
        if (needles[n].length > most)
            most = needles[n].length;
    searched_files++;
    for (;;) {
        const struct needle *found;
        off_t data = lseek(fd, at, SEEK_DATA); /* holes are large in some tests */
        if (data > at) {
            at = data;
            kept = 0;
        }
        got = data < 0 ? 0 : pread(fd, block + kept, BLOCK_BYTES, at);
        if (got <= 0)
            break;
        if (at == 0 && got > (ssize_t)sizeof(Elf64_Ehdr) && memcmp(block, ELFMAG, SELFMAG) == 0 &&
            ((const Elf64_Ehdr *)(const void *)block)->e_type == ET_CORE)
            tell(name, "a process's memory: it is a core file");
        at += got;
        searched_bytes += (unsigned long long)got;
        found = search(block, kept + (size_t)got);
        if (found != NULL) {
            tell(name, found->what);
            break;
        }
        got += (ssize_t)kept;
        kept = (size_t)got < most - 1 ? (size_t)got : most - 1;
        memmove(block, block + got - kept, kept);
    }
    close(fd);
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *where)
{
    const char *name = path + root_length + 1;

    (void)where;
    if (type != FTW_F || !S_ISREG(status->st_mode) || strncmp(name, ".secrets", 8) == 0)
        return 0;
    for (size_t i = 0; i < pattern_count; i++) {
        bool is_private = strncmp(patterns[i], "private:", 8) == 0;
        if (fnmatch(patterns[i] + (is_private ? 8 : 0), name, FNM_PATHNAME) == 0 &&
            (!is_private || (status->st_mode & 077) == 0))
            return 0;
    }
    search_file(path, name);
    return 0;
}

static int find(const char *registry, const char *places, const char *root, const char *output)
{
    FILE *file = fopen(places, "r");
    char *line = NULL;
    size_t room = 0;

    if (file == NULL || !registry_read(registry, 0))
        die(file == NULL ? places : registry);
    while (pattern_count < sizeof patterns / sizeof patterns[0] && getline(&line, &room, file) > 0)
        patterns[pattern_count++] = need(strndup(line, strcspn(line, "\n")));
    free(line);
    fclose(file);
    root_length = strlen(root);
    if (nftw(root, visit, 64, FTW_PHYS) != 0)
        die(root);
    search_output(output);
    printf("secrets: looked for %zu forms in %llu files, %llu MB\n", needle_count, searched_files,
           searched_bytes >> 20);
    return finds > 0;
}

/* ---- processes */

struct process {
    pid_t pid;
    unsigned long long start;
    bool ours, child, told, sleeps;
    unsigned open_sweeps;
    unsigned sweep;
};

#define TESTS_MOST 64
static struct process *processes; /* ours and their children, of this sweep and the one before */
static size_t process_count;
static char tests[TESTS_MOST][256];
static char programs[64][16]; /* as far as the kernel keeps a name */
static size_t program_count;
static char *programs_place;
static unsigned sweep;
static unsigned long long seen_programs, seen_children;
static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

static void tests_read(int root)
{
    DIR *list = fdopendir(dup(root));
    struct dirent *entry;
    size_t owner = 0;

    needles_forget();
    memset(tests, 0, sizeof tests);
    if (list == NULL)
        die("tests");
    rewinddir(list);
    while ((entry = readdir(list)) != NULL && owner < TESTS_MOST) {
        char path[512];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d/%s/.secrets", root, entry->d_name);
        if (registry_read(path, owner))
            snprintf(tests[owner++], sizeof tests[0], "%s", entry->d_name);
    }
    closedir(list);
}

static size_t read_of(int proc, pid_t pid, const char *file, unsigned char *data, size_t room)
{
    char path[64];
    int fd;
    ssize_t got = 0;
    size_t length = 0;

    snprintf(path, sizeof path, "%d/%s", (int)pid, file);
    fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    while (length < room && (got = read(fd, data + length, room - length)) > 0)
        length += (size_t)got;
    close(fd);
    return length;
}

static struct process *known(pid_t pid, unsigned long long start)
{
    for (size_t i = 0; i < process_count; i++)
        if (processes[i].pid == pid && (start == 0 || processes[i].start == start))
            return &processes[i];
    return NULL;
}

static void report(int root, size_t owner, const char *text)
{
    char path[512];
    int fd;

    finds++;
    printf("%s: %s\n", tests[owner], text);
    fflush(stdout);
    snprintf(path, sizeof path, "%s/.secrets.seen", tests[owner]);
    fd = openat(root, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd >= 0) {
        dprintf(fd, "SECRET: %s\n", text);
        close(fd);
    }
}

/* strace(1) in a test keeps a program from closing itself, so that it can look on. */
static bool is_traced(int proc, pid_t pid)
{
    unsigned char status[4096];
    size_t length = read_of(proc, pid, "status", status, sizeof status - 1);
    const char *tracer;

    status[length] = '\0';
    tracer = strstr((char *)status, "\nTracerPid:");
    return tracer != NULL && strtol(tracer + sizeof "\nTracerPid:" - 1, NULL, 10) != 0;
}

static void look_at(int proc, int root, struct process *process, const char *name)
{
    static unsigned char data[1 << 18];
    static const char *const files[] = {"cmdline", "environ"};
    struct stat status;
    char path[64], text[512];

    for (size_t i = 0; i < (process->child ? 2U : 1U); i++) {
        const struct needle *found = search(data, read_of(proc, process->pid, files[i], data, sizeof data));
        if (found == NULL || process->told)
            continue;
        process->told = true;
        snprintf(text, sizeof text, "%s of process %d, %s, holds %s",
                 i == 0 ? "an argument" : "the environment", (int)process->pid, name, found->what);
        for (size_t n = 0; n < needle_count; n++)
            if (needles[n].length == found->length &&
                memcmp(needles[n].bytes, found->bytes, found->length) == 0)
                report(root, needles[n].owner, text);
    }
    /* The files of who may be traced belong to its user, those of others to root. A program closes itself
     * before it waits for anything, but until then it may have to wait for a processor, or be stopped by a
     * test. */
    snprintf(path, sizeof path, "%d/environ", (int)process->pid);
    if (process->child || fstatat(proc, path, &status, 0) != 0 || status.st_uid == 0)
        process->open_sweeps = 0;
    else if (process->sleeps && !is_traced(proc, process->pid) && ++process->open_sweeps == OPEN_SWEEPS)
        for (size_t owner = 0; owner < TESTS_MOST && tests[owner][0] != '\0'; owner++) {
            snprintf(text, sizeof text, "the memory of process %d, %s, can be read by its user",
                     (int)process->pid, name);
            report(root, owner, text);
        }
}

/* By its name, unless its file can be seen to lie elsewhere: other suites may run on this machine. */
static bool is_program(int proc, pid_t pid, const char *name)
{
    char path[64], file[4096];
    bool named = false;
    ssize_t length;

    for (size_t i = 0; i < program_count && !named; i++) /* "wal-fetch-guard" is one, too */
        named = strncmp(name, programs[i], strlen(programs[i])) == 0;
    if (!named)
        return false;
    snprintf(path, sizeof path, "%d/exe", (int)pid);
    length = readlinkat(proc, path, file, sizeof file);
    if (length < 0) /* not ours to see, or gone */
        return errno == EACCES;
    return (size_t)length > strlen(programs_place) && file[strlen(programs_place)] == '/' &&
           memcmp(file, programs_place, strlen(programs_place)) == 0;
}

static void look(int proc, int root, pid_t pid)
{
    unsigned char stat[1024];
    char name[17] = "";
    const char *begin, *end;
    unsigned long long start;
    int parent;
    struct process *process, *above;
    bool ours;
    char state;
    size_t length = read_of(proc, pid, "stat", stat, sizeof stat - 1);

    stat[length] = '\0';
    begin = strchr((char *)stat, '(');
    end = strrchr((char *)stat, ')');
    if (begin == NULL || end == NULL ||
        sscanf(end + 2, "%c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &state, &parent, &start) != 3)
        return;
    snprintf(name, sizeof name, "%.*s", (int)(end - begin - 1), begin + 1);
    ours = is_program(proc, pid, name);
    process = known(pid, start);
    above = known(parent, 0);
    if (process == NULL) {
        if (!ours && above == NULL)
            return;
        processes = need(realloc(processes, (process_count + 1) * sizeof *processes));
        process = &processes[process_count++];
        *process = (struct process){.pid = pid, .start = start};
    }
    seen_programs += ours && !process->ours;
    seen_children += !ours && !process->child;
    process->ours = ours;
    process->child = !ours;
    process->sweep = sweep;
    process->sleeps = state == 'S';
    look_at(proc, root, process, name);
}

static void sweep_once(int proc, int root)
{
    DIR *list = fdopendir(dup(proc));
    struct dirent *entry;
    size_t kept = 0;

    if (list == NULL)
        die("/proc");
    rewinddir(list);
    sweep++;
    while ((entry = readdir(list)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]))
            look(proc, root, (pid_t)atoi(entry->d_name));
    closedir(list);
    for (size_t i = 0; i < process_count; i++)
        if (processes[i].sweep == sweep)
            processes[kept++] = processes[i];
    process_count = kept;
}

static int watch(const char *root_path, const char *programs_path)
{
    const struct timespec pause = {0, SWEEP_MILLISECONDS * 1000000L};
    int root = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = opendir(programs_path);
    struct dirent *entry;

    programs_place = realpath(programs_path, NULL);
    if (root < 0 || proc < 0 || list == NULL || programs_place == NULL)
        die("watch");
    while ((entry = readdir(list)) != NULL && program_count < sizeof programs / sizeof programs[0])
        if (entry->d_name[0] != '.')
            snprintf(programs[program_count++], sizeof programs[0], "%.15s", entry->d_name);
    closedir(list);
    signal(SIGTERM, stop);
    while (!stopped) {
        if (sweep % 5 == 0)
            tests_read(root);
        sweep_once(proc, root);
        nanosleep(&pause, NULL);
    }
    printf("secrets: looked %u times at processes, at %llu programs and %llu children of theirs: %u finds\n",
           sweep, seen_programs, seen_children, finds);
    return finds > 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "find") == 0)
        return find(argv[2], argv[3], argv[4], argv[5]);
    if (argc == 4 && strcmp(argv[1], "watch") == 0)
        return watch(argv[2], argv[3]);
    fprintf(stderr, "usage: secrets find REGISTRY PLACES ROOT OUTPUT | watch ROOT PROGRAMS\n");
    return 2;
}
