/* thumbnail.c: the one place outside the engine that knows libjpeg. The engine reads photos and never writes one; what is
 * written here is for a page of results alone. */
#include "query/thumbnail.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

typedef struct guard { struct jpeg_error_mgr base; jmp_buf back; } guard;

static void leave(j_common_ptr c)
{
    longjmp(((guard *)c->err)->back, 1);
}

static void keep_silent(j_common_ptr c) {}

bool query_thumbnail_encode(const clip_picture *p, int quality, uint8_t **jpeg, size_t *n)
{
    struct jpeg_compress_struct c = {0};
    guard g;
    unsigned char *volatile *const out = (unsigned char *volatile *)jpeg;
    unsigned long size = 0;
    unsigned char *bytes = NULL;
    *out = NULL;
    c.err = jpeg_std_error(&g.base);
    g.base.error_exit = leave;
    g.base.output_message = keep_silent;
    if (setjmp(g.back)) {
        jpeg_destroy_compress(&c);
        return false;
    }
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &bytes, &size);
    c.image_width = (JDIMENSION)p->width, c.image_height = (JDIMENSION)p->height;
    c.input_components = 3, c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, quality, TRUE);
    c.optimize_coding = TRUE;
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        JSAMPROW row = p->rgb + (size_t)c.next_scanline * (size_t)p->width * 3;
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    *jpeg = bytes;
    *n = size;
    return true;
}
