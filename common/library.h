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

/* A static one for each library. */
struct library {
    const char *soname;  /* as the linker would have noted it */
    const char *package; /* Debian's, for the hint */
    const struct library_function *functions;
    size_t count;
    int (*begin)(void); /* called once, when it is loaded; 0, or -1 after logging. May be NULL */
    int state;          /* library.c's */
};

/* Loads it, from whatever thread, the first time. 0, or -1: after logging the first time. Stays loaded until
 * the process ends. */
int library_need(struct library *library);

#endif
