/* f16.h: half-precision vectors as they lie in the database: IEEE 754 binary16, little endian, at any address. */
#ifndef F16_H
#define F16_H

#include <stddef.h>
#include <stdint.h>

void f16_from_f32(const float *x, void *out, size_t n); /* rounds to nearest, ties to even */
void f16_to_f32(const void *v, float *out, size_t n);
/* sum of v[i] * q[i]. Equal vectors at any address give equal bits. */
float f16_dot(const void *v, const float *q, size_t n);

/* The plain C that the fast ones are compared with. */
void f16_from_f32_plain(const float *x, void *out, size_t n);
void f16_to_f32_plain(const void *v, float *out, size_t n);
float f16_dot_plain(const void *v, const float *q, size_t n);

#endif
