#include "library.h"

#include "log.h"

#include <dlfcn.h>
#include <string.h>

int library_load(const char *soname, const char *package, const struct library_function *functions,
                 size_t count)
{
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        log_error("could not load a library: %s", dlerror());
        log_hint("Debian has %s in its package %s.", soname, package);
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        void *address = dlsym(library, functions[i].name);
        if (address == NULL) {
            log_error("could not find %s in library %s: %s", functions[i].name, soname, dlerror());
            return -1;
        }
        memcpy(functions[i].pointer, &address, sizeof address);
    }
    return 0;
}
