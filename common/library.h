/* Libraries that are loaded when they are first needed. Starting with libcurl alone takes four milliseconds,
 * four times as long as all else; a call that PostgreSQL makes for every segment and that needs no request
 * shall not pay for it. Layer 0. */
#ifndef WALFERRY_LIBRARY_H
#define WALFERRY_LIBRARY_H

#include <stddef.h>

struct library_function {
    const char *name;
    void *pointer; /* to the function pointer that gets its address */
};

/* soname as the linker would have noted it; package: Debian's, for the hint. 0, or -1 after logging. Stays
 * loaded until the process ends. */
int library_load(const char *soname, const char *package, const struct library_function *functions,
                 size_t count);

#endif
