/* dnn_calls.c: see dnn_calls.h. */
#define CLIP_DNN_CALLS_LIST
#include "engine/math/dnn_calls.h"

#include <pthread.h>

clip_dnn_functions clip_dnn_calls;

#define LIB clip_dnn_calls
static const clip_lazy_symbol symbols[] = {CLIP_DNN_CALLS(CLIP_LAZY_SYMBOL)};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool loaded;

static void load(void) { loaded = clip_lazy_load(CLIP_SONAME_DNNL, symbols, sizeof symbols / sizeof *symbols); }

bool clip_dnn_load(void)
{
    pthread_once(&once, load);
    return loaded;
}
