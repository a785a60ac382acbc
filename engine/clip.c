/* clip.c: the public face of the engine; see clip.h. */
#include "engine/clip.h"
