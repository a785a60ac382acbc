/* confined.h: runs a piece of a test in a child process with little address space (ulimit -v). */
#ifndef IMAGE_CONFINED_H
#define IMAGE_CONFINED_H

#include <stdbool.h>
#include <stddef.h>

/* Sanitizers reserve terabytes of address space: with them no limit can be set, and the test says "skipped". */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONFINED_POSSIBLE false
#else
#define CONFINED_POSSIBLE true
#endif

/* What `part` returned (0..99) in a child that may take `bytes` more of address space; -1 when it died. */
int confined_run(int (*part)(const void *), const void *argument, size_t bytes);

#endif
