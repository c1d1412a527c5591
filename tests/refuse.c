/* A shared object for LD_PRELOAD: refuses one call of a program, by plan. Counted are the calls that the
 * program's own code makes, not its libraries', of the functions below: what takes memory, and what can fail
 * in the kernel.
 *
 *     REFUSE=PROGRAM:N:ERRNO   the N-th is refused, with ERRNO (memory always with ENOMEM); 0: none
 *     REFUSE_LOG=FILE          is told which it was, or with N = 0 of each call: "malloc 0x1234", the address
 * for addr2line
 *     REFUSE_DEPTH=N           with those that called it, so many in all
 *
 *     REFUSE_LACKS=WORDS       what the file systems lack, always: "tmpfile", "links", "sync", "once"
 * (directories tell all twice)
 *
 * A process that is forked counts on for itself. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long calls;
static long refused;
static int wanted_errno, depth = 1;
static const char *log_path, *lacks = "";
static uintptr_t base, from, to; /* the program's code; nothing: another program */

static int find_program(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    (void)data;
    base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
            from = base + info->dlpi_phdr[i].p_vaddr;
            to = from + info->dlpi_phdr[i].p_memsz;
        }
    return 1; /* the first one is the program */
}

__attribute__((constructor)) static void begin(void)
{
    const char *plan = getenv("REFUSE");
    char program[100];

    log_path = getenv("REFUSE_LOG");
    if (plan != NULL && log_path != NULL &&
        sscanf(plan, "%99[^:]:%ld:%d", program, &refused, &wanted_errno) == 3 &&
        strcmp(program, program_invocation_short_name) == 0)
        dl_iterate_phdr(find_program, NULL);
    if (getenv("REFUSE_DEPTH") != NULL)
        depth = atoi(getenv("REFUSE_DEPTH"));
    if (getenv("REFUSE_LACKS") != NULL)
        lacks = getenv("REFUSE_LACKS");
}

static int is_lacking(const char *what, int error)
{
    errno = error;
    return strstr(lacks, what) != NULL;
}

static void tell(const char *name, void *caller)
{
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    ssize_t (*real_write)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    char line[400];
    void *frames[32];
    int length = snprintf(line, sizeof line, "%s 0x%lx", name, (unsigned long)((uintptr_t)caller - base - 1));
    int count = depth > 1 ? backtrace(frames, 32) : 0, at = 0, left = depth;

    while (at < count && frames[at] != caller)
        at++;
    for (at++; at < count && --left > 0 && (uintptr_t)frames[at] >= from && (uintptr_t)frames[at] < to; at++)
        length += snprintf(line + length, sizeof line - (size_t)length, " 0x%lx",
                           (unsigned long)((uintptr_t)frames[at] - base - 1));
    line[length++] = '\n';
    int fd = real_open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd >= 0 && real_write(fd, line, (size_t)length) == length)
        syscall(SYS_close, fd);
}

/* What is called from then on is called by what the compiler has added, as for the counts of coverage. */
static void end_of_program(void)
{
    from = to = 0;
}

/* Is this the one? */
static int strike(const char *name, void *caller, int error)
{
    if ((uintptr_t)caller < from || (uintptr_t)caller >= to)
        return 0;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (number == 1)
        atexit(end_of_program);
    if (refused != 0 && number != refused)
        return 0;
    int kept = errno;
    tell(name, caller);
    errno = refused == 0 ? kept : error;
    return refused != 0;
}

#define NEXT(name)                                                                                           \
    static __typeof__(&name) next;                                                                           \
    if (next == NULL)                                                                                        \
    next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
/* TYPE NAME(PARAMETERS), the value when it is refused, the errno, the arguments. */
#define REFUSABLE(type, name, parameters, failure, error, ...)                                               \
    type name parameters                                                                                     \
    {                                                                                                        \
        NEXT(name);                                                                                          \
        if (strike(#name, __builtin_return_address(0), error))                                               \
            return failure;                                                                                  \
        return next(__VA_ARGS__);                                                                            \
    }
#define MEMORY(name, parameters, ...) REFUSABLE(void *, name, parameters, NULL, ENOMEM, __VA_ARGS__)
#define CALL(name, parameters, ...) REFUSABLE(int, name, parameters, -1, wanted_errno, __VA_ARGS__)
#define SIZED(name, parameters, ...) REFUSABLE(ssize_t, name, parameters, -1, wanted_errno, __VA_ARGS__)

/* dlsym itself takes memory: what it needs before there is a next one comes from here, and is never given
 * back. */
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
#define DIRECT(name, parameters, ...)                                                                        \
    void *name parameters                                                                                    \
    {                                                                                                        \
        return strike(#name, __builtin_return_address(0), ENOMEM) ? NULL : __libc_##name(__VA_ARGS__);       \
    }
DIRECT(malloc, (size_t size), size)
DIRECT(calloc, (size_t count, size_t size), count, size)
DIRECT(realloc, (void *block, size_t size), block, size)
REFUSABLE(char *, strdup, (const char *text), NULL, ENOMEM, text)
REFUSABLE(char *, strndup, (const char *text, size_t most), NULL, ENOMEM, text, most)

extern int __vasprintf_chk(char **, int, const char *, va_list);
REFUSABLE(int, __vasprintf_chk, (char **out, int flag, const char *format, va_list arguments), -1, ENOMEM,
          out, flag, format, arguments)
/* As it is called without optimisation. */
REFUSABLE(int, vasprintf, (char **out, const char *format, va_list arguments), -1, ENOMEM, out, format,
          arguments)

/* Those of libraries that only fail for lack of memory. */
struct json;
extern struct json *json_object(void), *json_array(void), *json_string(const char *),
    *json_integer(long long);
extern char *json_dumps(const struct json *, size_t);
extern void *XML_ParserCreate(const char *);
extern size_t LZ4F_createCompressionContext(void **, unsigned),
    LZ4F_createDecompressionContext(void **, unsigned);
REFUSABLE(struct json *, json_object, (void), NULL, ENOMEM)
REFUSABLE(struct json *, json_array, (void), NULL, ENOMEM)
REFUSABLE(struct json *, json_string, (const char *text), NULL, ENOMEM, text)
REFUSABLE(struct json *, json_integer, (long long value), NULL, ENOMEM, value)
REFUSABLE(char *, json_dumps, (const struct json *json, size_t flags), NULL, ENOMEM, json, flags)
MEMORY(XML_ParserCreate, (const char *encoding), encoding)
REFUSABLE(size_t, LZ4F_createCompressionContext, (void **context, unsigned version), (size_t)-9, ENOMEM,
          context, version)
REFUSABLE(size_t, LZ4F_createDecompressionContext, (void **context, unsigned version), (size_t)-9, ENOMEM,
          context, version)

REFUSABLE(int, pthread_create,
          (pthread_t * thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument),
          EAGAIN, EAGAIN, thread, attributes, start, argument)
REFUSABLE(pid_t, fork, (void), -1, EAGAIN)
REFUSABLE(int, eventfd, (unsigned value, int flags), -1, EMFILE, value, flags)
REFUSABLE(int, inotify_init1, (int flags), -1, EMFILE, flags)
CALL(inotify_add_watch, (int fd, const char *path, uint32_t mask), fd, path, mask)
SIZED(getrandom, (void *out, size_t length, unsigned flags), out, length, flags)

int open64(const char *path, int flags, ...)
{
    va_list arguments;

    NEXT(open64);
    va_start(arguments, flags);
    unsigned mode = va_arg(arguments, unsigned);
    va_end(arguments);
    if ((flags & O_TMPFILE) == O_TMPFILE && is_lacking("tmpfile", EOPNOTSUPP))
        return -1;
    return strike("open", __builtin_return_address(0), wanted_errno) ? -1 : next(path, flags, mode);
}
int openat64(int directory, const char *path, int flags, ...)
{
    va_list arguments;

    NEXT(openat64);
    va_start(arguments, flags);
    unsigned mode = va_arg(arguments, unsigned);
    va_end(arguments);
    return strike("openat", __builtin_return_address(0), wanted_errno) ? -1
                                                                       : next(directory, path, flags, mode);
}
extern int __openat64_2(int, const char *, int);
CALL(__openat64_2, (int directory, const char *path, int flags), directory, path, flags)
CALL(mkostemp64, (char *template, int flags), template, flags)
REFUSABLE(FILE *, fopen64, (const char *path, const char *mode), NULL, wanted_errno, path, mode)
REFUSABLE(DIR *, opendir, (const char *path), NULL, wanted_errno, path)
REFUSABLE(DIR *, fdopendir, (int fd), NULL, wanted_errno, fd)
struct dirent64 *readdir64(DIR *directory)
{
    static _Thread_local DIR *of;
    static _Thread_local struct dirent64 *told; /* in its buffer */

    NEXT(readdir64);
    if (strike("readdir64", __builtin_return_address(0), wanted_errno))
        return NULL;
    struct dirent64 *item = of == directory ? told : NULL;
    if (item != NULL && is_lacking("once", errno)) {
        told = NULL;
        return item;
    }
    of = directory;
    return told = next(directory);
}
REFUSABLE(char *, realpath, (const char *path, char *out), NULL, wanted_errno, path, out)
REFUSABLE(char *, getcwd, (char *out, size_t size), NULL, wanted_errno, out, size)
SIZED(read, (int fd, void *out, size_t length), fd, out, length)
SIZED(pread64, (int fd, void *out, size_t length, off64_t offset), fd, out, length, offset)
SIZED(write, (int fd, const void *data, size_t length), fd, data, length)
SIZED(readlink, (const char *path, char *out, size_t size), path, out, size)
SIZED(readlinkat, (int directory, const char *path, char *out, size_t size), directory, path, out, size)
int close(int fd)
{
    NEXT(close);
    int result = next(fd); /* closed it is in any case */
    return strike("close", __builtin_return_address(0), wanted_errno) ? -1 : result;
}
CALL(stat64, (const char *path, struct stat64 *status), path, status)
CALL(lstat64, (const char *path, struct stat64 *status), path, status)
CALL(fstat64, (int fd, struct stat64 *status), fd, status)
CALL(fstatat64, (int directory, const char *path, struct stat64 *status, int flags), directory, path, status,
     flags)
CALL(fstatvfs64, (int fd, struct statvfs64 *status), fd, status)
int fsync(int fd)
{
    NEXT(fsync);
    if (is_lacking("sync", EIO) || strike("fsync", __builtin_return_address(0), wanted_errno))
        return -1;
    return next(fd);
}
CALL(fdatasync, (int fd), fd)
CALL(syncfs, (int fd), fd)
CALL(ftruncate64, (int fd, off64_t length), fd, length)
REFUSABLE(off64_t, lseek64, (int fd, off64_t offset, int whence), -1, wanted_errno, fd, offset, whence)
CALL(fchmod, (int fd, mode_t mode), fd, mode)
int link(const char *from_path, const char *to_path)
{
    NEXT(link);
    if (is_lacking("links", EPERM) || strike("link", __builtin_return_address(0), wanted_errno))
        return -1;
    return next(from_path, to_path);
}
CALL(linkat, (int a, const char *from_path, int b, const char *to_path, int flags), a, from_path, b, to_path,
     flags)
CALL(symlinkat, (const char *target, int directory, const char *path), target, directory, path)
CALL(rename, (const char *from_path, const char *to_path), from_path, to_path)
CALL(renameat, (int a, const char *from_path, int b, const char *to_path), a, from_path, b, to_path)
CALL(renameat2, (int a, const char *from_path, int b, const char *to_path, unsigned flags), a, from_path, b,
     to_path, flags)
CALL(unlink, (const char *path), path)
CALL(unlinkat, (int directory, const char *path, int flags), directory, path, flags)
CALL(rmdir, (const char *path), path)
CALL(mkdir, (const char *path, mode_t mode), path, mode)
CALL(mkdirat, (int directory, const char *path, mode_t mode), directory, path, mode)
CALL(access, (const char *path, int mode), path, mode)
CALL(futimens, (int fd, const struct timespec times[2]), fd, times)
CALL(flock, (int fd, int operation), fd, operation)
CALL(dup2, (int from_fd, int to_fd), from_fd, to_fd)
CALL(chdir, (const char *path), path)
CALL(gethostname, (char *out, size_t size), out, size)
CALL(close_range, (unsigned first, unsigned last, int flags), first, last, flags)
/* Of the program's own: pidfd_open. */
long syscall(long number, ...)
{
    va_list arguments;
    long argument[3];

    NEXT(syscall);
    va_start(arguments, number);
    for (int i = 0; i < 3; i++)
        argument[i] = va_arg(arguments, long);
    va_end(arguments);
    if (strike("syscall", __builtin_return_address(0), wanted_errno))
        return -1;
    return next(number, argument[0], argument[1], argument[2]);
}
