#include "library.h"

#include "log.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

enum { LIBRARY_UNKNOWN, LIBRARY_READY, LIBRARY_MISSING };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int load(const struct library *library)
{
    void *handle = dlopen(library->soname, RTLD_NOW | RTLD_LOCAL);

    if (handle == NULL) {
        log_error("could not load a library: %s", dlerror());
        log_hint("Debian has %s in its package %s.", library->soname, library->package);
        return -1;
    }
    for (size_t i = 0; i < library->count; i++) {
        void *address = dlsym(handle, library->functions[i].name);
        if (address == NULL) {
            log_error("could not find %s in library %s: %s", library->functions[i].name, library->soname,
                      dlerror());
            return -1;
        }
        memcpy(library->functions[i].pointer, &address, sizeof address);
    }
    return library->begin != NULL ? library->begin() : 0;
}

int library_need(struct library *library)
{
    int state = __atomic_load_n(&library->state, __ATOMIC_ACQUIRE);

    if (state == LIBRARY_UNKNOWN) {
        pthread_mutex_lock(&lock);
        state = library->state;
        if (state == LIBRARY_UNKNOWN) {
            state = load(library) == 0 ? LIBRARY_READY : LIBRARY_MISSING;
            __atomic_store_n(&library->state, state, __ATOMIC_RELEASE);
        }
        pthread_mutex_unlock(&lock);
    }
    return state == LIBRARY_READY ? 0 : -1;
}
