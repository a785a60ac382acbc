/* cache.h: the FAISS file of one model: found, opened, brought up to date. */
#ifndef CACHE_H
#define CACHE_H

#include "store/library.h"

void cache_close(cache *c);

#endif
