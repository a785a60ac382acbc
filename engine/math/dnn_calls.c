/* dnn_calls.c: see dnn_calls.h. The library's name carries the version whose header we were compiled with. */
#define CLIP_DNN_CALLS_LIST
#include "engine/math/dnn_calls.h"

#include <pthread.h>

#define TEXT_OF(x) #x
#define SONAME(major) "libdnnl.so." TEXT_OF(major)

clip_dnn_functions clip_dnn_calls;

#define LIB clip_dnn_calls
static const clip_lazy_symbol symbols[] = {CLIP_DNN_CALLS(CLIP_LAZY_SYMBOL)};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool loaded;

static void load(void) { loaded = clip_lazy_load(SONAME(DNNL_VERSION_MAJOR), symbols, sizeof symbols / sizeof *symbols); }

bool clip_dnn_load(void)
{
    pthread_once(&once, load);
    return loaded;
}
