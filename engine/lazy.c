/* lazy.c: see lazy.h. */
#include "engine/lazy.h"

#include <dlfcn.h>
#include <string.h>

bool clip_lazy_load(const char *soname, const clip_lazy_symbol *symbols, size_t n)
{
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    if (!library) return false;
    for (size_t i = 0; i < n; i++) {
        void *found = dlsym(library, symbols[i].name);
        if (!found) return false;
        memcpy(symbols[i].at, &found, sizeof found); /* C knows no cast from object to function pointers */
    }
    return true;
}
