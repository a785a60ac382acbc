/* preview.c: drawing is Chafa's (https://hpjansson.org/chafa/): kitty's, iTerm2's and sixel graphics, else coloured blocks.
 *
 * The library brings GLib with it, which a search that draws nothing should not have to start: it is loaded when it is first
 * needed, and a system without it says so only then. What the terminal can do is told by the environment; it is never asked,
 * because its answer would come through the keyboard. */
#include "query/preview.h"

#ifndef HAVE_CHAFA

int query_preview_open(query_preview_form form, query_preview **out)
{
    *out = NULL;
    return cli_fail("this clipsearch was built without Chafa, which draws previews; install libchafa-dev and build it again");
}

void query_preview_draw(query_preview *p, FILE *f, const char *path) {}
void query_preview_close(query_preview *p) {}

#else

#include "query/picture_file.h"

#include <chafa.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ROWS = 14, COLUMNS_MOST = 60, CELL_WIDTH = 10, CELL_HEIGHT = 20, SIDE = 640 };

/* The functions that are used, found by name. */
#define FUNCTIONS(_)                                                                                                       \
    _(chafa_term_db_get_default) _(chafa_term_db_detect) _(chafa_term_db_get_fallback_info) _(chafa_term_info_have_seq)    \
    _(chafa_term_info_supplement) _(chafa_term_info_unref) _(chafa_symbol_map_new) _(chafa_symbol_map_add_by_tags)         \
    _(chafa_symbol_map_unref) _(chafa_canvas_config_new) _(chafa_canvas_config_unref) _(chafa_canvas_config_set_geometry)  \
    _(chafa_canvas_config_set_cell_geometry) _(chafa_canvas_config_set_canvas_mode)                                        \
    _(chafa_canvas_config_set_pixel_mode) _(chafa_canvas_config_set_symbol_map) _(chafa_canvas_new)                        \
    _(chafa_canvas_draw_all_pixels) _(chafa_canvas_print) _(chafa_canvas_unref) _(chafa_calc_canvas_geometry)              \
    _(g_string_free)

struct query_preview {
#define MEMBER(name) __typeof__(&(name)) name;
    FUNCTIONS(MEMBER)
#undef MEMBER
    ChafaTermInfo *terminal;
    ChafaSymbolMap *symbols;
    ChafaPixelMode pixels;
    ChafaCanvasMode colours;
    int columns, cell_width, cell_height;
};

static int load(query_preview *p)
{
    void *library = dlopen("libchafa.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return cli_fail("--preview needs Chafa's library, which is not here (%s); on Debian: apt install libchafa0", dlerror());
#define FIND(name)                                                                                                         \
    if (!(p->name = (__typeof__(p->name))dlsym(library, #name)))                                                           \
        return cli_fail("--preview cannot use this Chafa: %s", dlerror());
    FUNCTIONS(FIND)
#undef FIND
    return 0;
}

static ChafaPixelMode pixels_of(query_preview *p, query_preview_form form)
{
    switch (form) {
    case QUERY_PREVIEW_SYMBOLS: return CHAFA_PIXEL_MODE_SYMBOLS;
    case QUERY_PREVIEW_SIXEL: return CHAFA_PIXEL_MODE_SIXELS;
    case QUERY_PREVIEW_KITTY: return CHAFA_PIXEL_MODE_KITTY;
    case QUERY_PREVIEW_ITERM: return CHAFA_PIXEL_MODE_ITERM2;
    case QUERY_PREVIEW_AUTO: break;
    }
    if (p->chafa_term_info_have_seq(p->terminal, CHAFA_TERM_SEQ_BEGIN_KITTY_IMMEDIATE_IMAGE_V1)) return CHAFA_PIXEL_MODE_KITTY;
    if (p->chafa_term_info_have_seq(p->terminal, CHAFA_TERM_SEQ_BEGIN_ITERM2_IMAGE)) return CHAFA_PIXEL_MODE_ITERM2;
    if (p->chafa_term_info_have_seq(p->terminal, CHAFA_TERM_SEQ_BEGIN_SIXELS)) return CHAFA_PIXEL_MODE_SIXELS;
    return CHAFA_PIXEL_MODE_SYMBOLS;
}

static void look_at_terminal(query_preview *p, query_preview_form form)
{
    struct winsize w = {0};
    p->terminal = p->chafa_term_db_detect(p->chafa_term_db_get_default(), environ);
    p->pixels = pixels_of(p, form);
    p->colours = p->chafa_term_info_have_seq(p->terminal, CHAFA_TERM_SEQ_SET_COLOR_FGBG_DIRECT) ? CHAFA_CANVAS_MODE_TRUECOLOR
               : p->chafa_term_info_have_seq(p->terminal, CHAFA_TERM_SEQ_SET_COLOR_FGBG_256)    ? CHAFA_CANVAS_MODE_INDEXED_240
                                                                                                : CHAFA_CANVAS_MODE_INDEXED_16;
    if (p->pixels != CHAFA_PIXEL_MODE_SYMBOLS) p->colours = CHAFA_CANVAS_MODE_TRUECOLOR;
    /* Where a form was asked for that the terminal is not known to have, its usual sequences are used. */
    ChafaTermInfo *usual = p->chafa_term_db_get_fallback_info(p->chafa_term_db_get_default());
    p->chafa_term_info_supplement(p->terminal, usual);
    p->chafa_term_info_unref(usual);
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0;
    p->columns = known && w.ws_col < COLUMNS_MOST ? w.ws_col : COLUMNS_MOST;
    bool sized = known && w.ws_row > 0 && w.ws_xpixel / w.ws_col > 0 && w.ws_ypixel / w.ws_row > 0;
    p->cell_width = sized ? w.ws_xpixel / w.ws_col : CELL_WIDTH;
    p->cell_height = sized ? w.ws_ypixel / w.ws_row : CELL_HEIGHT;
}

int query_preview_open(query_preview_form form, query_preview **out)
{
    query_preview *p = *out = calloc(1, sizeof *p);
    if (!p) return cli_fail("memory ran out");
    int status = load(p);
    if (status) {
        free(p);
        *out = NULL;
        return status;
    }
    look_at_terminal(p, form);
    p->symbols = p->chafa_symbol_map_new();
    p->chafa_symbol_map_add_by_tags(p->symbols, CHAFA_SYMBOL_TAG_SPACE | CHAFA_SYMBOL_TAG_BLOCK);
    return 0;
}

static GString *convert(query_preview *p, const clip_picture *picture)
{
    int columns = p->columns, rows = ROWS;
    p->chafa_calc_canvas_geometry(picture->width, picture->height, &columns, &rows,
                                  (float)p->cell_width / (float)p->cell_height, true, false);
    ChafaCanvasConfig *how = p->chafa_canvas_config_new();
    p->chafa_canvas_config_set_geometry(how, columns, rows);
    p->chafa_canvas_config_set_cell_geometry(how, p->cell_width, p->cell_height);
    p->chafa_canvas_config_set_canvas_mode(how, p->colours);
    p->chafa_canvas_config_set_pixel_mode(how, p->pixels);
    p->chafa_canvas_config_set_symbol_map(how, p->symbols);
    ChafaCanvas *canvas = p->chafa_canvas_new(how);
    p->chafa_canvas_draw_all_pixels(canvas, CHAFA_PIXEL_RGB8, picture->rgb, picture->width, picture->height, 3 * picture->width);
    GString *text = p->chafa_canvas_print(canvas, p->terminal);
    p->chafa_canvas_unref(canvas);
    p->chafa_canvas_config_unref(how);
    return text;
}

void query_preview_draw(query_preview *p, FILE *f, const char *path)
{
    clip_picture picture;
    clip_error err = {0};
    if (query_picture_file(path, SIDE, &picture, &err)) {
        char *name = cli_quote_path(path);
        cli_warn("%s: %s", name ? name : path, err.text);
        free(name);
    } else {
        GString *text = convert(p, &picture);
        fwrite(text->str, 1, text->len, f);
        putc('\n', f);
        (p->g_string_free)(text, TRUE); /* in parentheses: newer GLibs have a macro of this name */
    }
    clip_picture_finish(&picture);
}

void query_preview_close(query_preview *p)
{
    if (!p) return;
    p->chafa_symbol_map_unref(p->symbols);
    p->chafa_term_info_unref(p->terminal);
    free(p); /* the library stays loaded: GLib does not like to leave */
}
#endif
