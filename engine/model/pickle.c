/* pickle.c: the machine of pickle protocol 2 (Python's Lib/pickletools.py describes it), cut down to what PyTorch writes.
 *
 *     opcode                         does
 *     80 proto                       must be 2
 *     N 88 89 J K M 8a G X           pushes None, True, False, an integer of 4, 1, 2 or n bytes, a float, a text
 *     ) t 85 86 87 ] a e } s u       tuples, lists, dictionaries
 *     ( 0                            a mark; drops the top
 *     q r h j                        the memo: puts the top, gets it again
 *     c                              a class or function by name: one of those below
 *     R                              calls it: makes the value that it stands for
 *     81 b                           a new object of a TorchScript class, its attributes
 *     Q                              a storage, by its persistent id
 *     .                              the end
 *
 *     name                                                    with R
 *     collections OrderedDict                                 a dictionary
 *     torch._utils _rebuild_tensor_v2                         a tensor
 *     torch._utils _rebuild_parameter                         the tensor that is its first argument
 *     torch.jit._pickle build_*list, restore_type_tag         their first argument
 *     torch *Storage                                          only inside a persistent id
 *     __torch__.*                                             only with 81: its code is never looked at
 *
 * Nothing recurses, every byte makes at most one value and one item, and both are capped, so that memory is bounded. */
#include "engine/model/pickle.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES ((size_t)16 << 20)
#define MAX_VALUES 1000000u
#define MAX_ITEMS 4000000u
#define MARK UINT32_MAX
#define NOTHING (UINT32_MAX - 1)

typedef struct machine {
    const char *name;
    const uint8_t *bytes;
    size_t n, at;
    clip_pickle *p;
    uint32_t values_room, *stack, top, stack_room, *memo, memo_room;
    uint64_t items; /* of all values together: attributes may be copied */
    bool done;
    clip_status status;
    clip_error *err;
} machine;

static void fail(machine *m, const char *what)
{
    if (!m->status) m->status = clip_fail(m->err, CLIP_E_FORMAT, "%s: a broken pickle (%s, before byte %zu)", m->name, what, m->at);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

/* Room for one more of `size` bytes; false when there must be none. */
static bool grow(machine *m, void *array, uint32_t have, uint32_t *room, size_t size)
{
    void **p = array, *bigger;
    uint32_t wanted = *room ? 2 * *room : 16;
    if (have >= MAX_VALUES) {
        if (!m->status) m->status = clip_fail(m->err, CLIP_E_LIMIT, "%s: more than %u values in a pickle", m->name, MAX_VALUES);
        return false;
    }
    if (have < *room) return true;
    if (!(bigger = realloc(*p, wanted * size))) {
        m->status = clip_fail(m->err, CLIP_E_MEMORY, "%s: out of memory", m->name);
        return false;
    }
    *p = bigger;
    *room = wanted;
    return true;
}

static void push(machine *m, uint32_t value)
{
    if (grow(m, &m->stack, m->top, &m->stack_room, sizeof *m->stack)) m->stack[m->top++] = value;
}

/* The value at the top is always a value, or there was a failure. */
static uint32_t pop(machine *m)
{
    if (!m->top || m->stack[m->top - 1] == MARK) {
        fail(m, "nothing on the stack");
        return NOTHING;
    }
    return m->stack[--m->top];
}

static clip_pickle_value *at(machine *m, uint32_t value) { return value < m->p->count ? &m->p->values[value] : NULL; }

static clip_pickle_value *make(machine *m, clip_pickle_kind kind)
{
    if (!grow(m, &m->p->values, m->p->count, &m->values_room, sizeof *m->p->values)) return NULL;
    clip_pickle_value *v = &m->p->values[m->p->count];
    *v = (clip_pickle_value){.kind = kind};
    push(m, m->p->count++);
    return v;
}

static void make_number(machine *m, clip_pickle_kind kind, int64_t number)
{
    clip_pickle_value *v = make(m, kind);
    if (v) v->number = number;
}

static void add_item(machine *m, uint32_t list, uint32_t item)
{
    clip_pickle_value *v = at(m, list);
    if (m->items++ > MAX_ITEMS && !m->status) m->status = clip_fail(m->err, CLIP_E_LIMIT, "%s: more than %u items in a pickle", m->name, MAX_ITEMS);
    if (!m->status && v && grow(m, &v->items, v->n, &v->room, sizeof *v->items)) v->items[v->n++] = item;
}

/* ---- bytes ----------------------------------------------------------------------------------------------------- */

static const uint8_t *take(machine *m, size_t n)
{
    if (n > m->n - m->at) {
        fail(m, "it ends too early");
        return NULL;
    }
    m->at += n;
    return m->bytes + m->at - n;
}

static uint64_t take_number(machine *m, int bytes)
{
    const uint8_t *p = take(m, (size_t)bytes);
    uint64_t v = 0;
    while (p && bytes--) v = v << 8 | p[bytes];
    return v;
}

static void take_long(machine *m)
{
    size_t n = (size_t)take_number(m, 1);
    const uint8_t *p = take(m, n);
    uint64_t v = p && n && p[n - 1] & 0x80 ? UINT64_MAX : 0;
    if (n > 8) fail(m, "an integer of more than 64 bits");
    for (size_t i = n; p && n <= 8 && i--; ) v = v << 8 | p[i];
    make_number(m, CLIP_PICKLE_INT, (int64_t)v);
}

static void make_text(machine *m, clip_pickle_kind kind, const void *text, size_t n)
{
    clip_pickle_value *v = text ? make(m, kind) : NULL;
    if (v) v->text = text, v->length = (uint32_t)n;
}

static void take_text(machine *m)
{
    size_t n = (size_t)take_number(m, 4);
    make_text(m, CLIP_PICKLE_TEXT, take(m, n), n);
}

/* ---- containers ------------------------------------------------------------------------------------------------ */

/* Where the things above the last mark begin; the mark goes. */
static uint32_t pop_mark(machine *m)
{
    uint32_t first = m->top;
    while (first && m->stack[first - 1] != MARK) first--;
    if (!first) {
        fail(m, "no mark on the stack");
        return m->top;
    }
    return first;
}

static void make_tuple(machine *m, uint32_t first, uint32_t mark)
{
    uint32_t top = m->top, tuple = m->p->count;
    for (uint32_t i = first; i < top; i++)
        if (m->stack[i] == MARK) fail(m, "a mark inside a tuple");
    if (m->status || !make(m, CLIP_PICKLE_TUPLE)) return;
    for (uint32_t i = first; i < top; i++) add_item(m, tuple, m->stack[i]);
    m->top = first - mark;
    push(m, tuple);
}

static void make_short_tuple(machine *m, uint32_t n)
{
    if (n > m->top) fail(m, "nothing on the stack");
    else make_tuple(m, m->top - n, 0);
}

/* The things from `first` on go into the list or dictionary below them (below the mark, where there is one). */
static void add_items(machine *m, uint32_t first, uint32_t mark, clip_pickle_kind kind)
{
    uint32_t below = first - mark;
    if (m->status) return;
    clip_pickle_value *v = below && m->stack[below - 1] != MARK ? at(m, m->stack[below - 1]) : NULL;
    if (!v || v->kind != kind) return fail(m, "items for something else than a list or dictionary");
    if (kind == CLIP_PICKLE_DICT && (m->top - first) % 2) return fail(m, "a key without a value");
    for (uint32_t i = first; i < m->top; i++) {
        if (m->stack[i] == MARK) return fail(m, "a mark inside a list");
        add_item(m, m->stack[below - 1], m->stack[i]);
    }
    m->top = below;
}

static void add_last(machine *m, uint32_t n, clip_pickle_kind kind)
{
    if (n > m->top) fail(m, "nothing on the stack");
    else add_items(m, m->top - n, 0, kind);
}

static void add_marked(machine *m, clip_pickle_kind kind)
{
    uint32_t first = pop_mark(m);
    add_items(m, first, 1, kind);
}

/* ---- the memo -------------------------------------------------------------------------------------------------- */

static void put(machine *m, uint64_t key)
{
    if (key >= MAX_VALUES) return fail(m, "a memo beyond its limit");
    uint32_t value = pop(m);
    while (!m->status && key >= m->memo_room) {
        uint32_t old = m->memo_room;
        if (!grow(m, &m->memo, old, &m->memo_room, sizeof *m->memo)) return;
        for (uint32_t i = old; i < m->memo_room; i++) m->memo[i] = NOTHING;
    }
    if (m->status) return;
    m->memo[key] = value;
    push(m, value);
}

static void get(machine *m, uint64_t key)
{
    if (key >= m->memo_room || m->memo[key] == NOTHING) fail(m, "a memo that was never put");
    else push(m, m->memo[key]);
}

/* ---- names and what they make ----------------------------------------------------------------------------------- */

static const char *const known[] = {
    "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter",
    "torch.jit._pickle build_intlist", "torch.jit._pickle build_doublelist", "torch.jit._pickle build_boollist",
    "torch.jit._pickle build_tensorlist", "torch.jit._pickle restore_type_tag",
    "torch FloatStorage", "torch HalfStorage", "torch BFloat16Storage", "torch DoubleStorage", "torch LongStorage",
    "torch IntStorage", "torch ShortStorage", "torch CharStorage", "torch ByteStorage", "torch BoolStorage",
};
enum { DICT = 0, TENSOR = 1, FIRST_ARGUMENT = 2, STORAGES = 8, KNOWN = sizeof known / sizeof *known };

static int known_as(const clip_pickle_value *v)
{
    int i = 0;
    while (i < KNOWN && !clip_pickle_is(v, CLIP_PICKLE_GLOBAL, known[i])) i++;
    return i;
}

static bool is_script_class(const clip_pickle_value *v)
{
    return v && v->kind == CLIP_PICKLE_GLOBAL && v->length > 10 && !memcmp(v->text, "__torch__.", 10);
}

/* "module\nname\n" becomes the text "module name"; the pickle is the caller's, so known names are taken from the table. */
static void take_global(machine *m)
{
    const uint8_t *text = m->bytes + m->at, *line = memchr(text, '\n', m->n - m->at);
    const uint8_t *end = line ? memchr(line + 1, '\n', m->n - m->at - (size_t)(line + 1 - text)) : NULL;
    if (!end) return fail(m, "a name without an end");
    size_t n = (size_t)(end - text), module = (size_t)(line - text);
    m->at += n + 1;
    clip_pickle_value script = {.kind = CLIP_PICKLE_GLOBAL, .text = (const char *)text, .length = (uint32_t)n};
    if (is_script_class(&script)) return make_text(m, CLIP_PICKLE_GLOBAL, text, n);
    for (int i = 0; i < KNOWN; i++)
        if (strlen(known[i]) == n && known[i][module] == ' ' && !memcmp(known[i], text, module) &&
            !memcmp(known[i] + module + 1, line + 1, n - module - 1))
            return make_text(m, CLIP_PICKLE_GLOBAL, known[i], n);
    if (!m->status)
        m->status = clip_fail(m->err, CLIP_E_UNSUPPORTED, "%s: asks for %.*s.%.*s, which is neither a tensor nor what holds one, and "
                              "nothing else is read from such a file; in Python, torch.save the model's state_dict() alone",
                              m->name, (int)(module < 80 ? module : 80), (const char *)text,
                              (int)(n - module - 1 < 80 ? n - module - 1 : 80), (const char *)line + 1);
}

static void call(machine *m)
{
    uint32_t args = pop(m), function = pop(m), copy;
    const clip_pickle_value *a = at(m, args);
    int what = known_as(at(m, function));
    if (m->status) return;
    if (!a || a->kind != CLIP_PICKLE_TUPLE) return fail(m, "a call without arguments");
    if (what == DICT && a->n == 0) {
        make(m, CLIP_PICKLE_DICT);
    } else if (what == TENSOR && a->n >= 6) {
        copy = m->p->count;
        make(m, CLIP_PICKLE_TENSOR);
        for (uint32_t i = 0; i < 6 && !m->status; i++) add_item(m, copy, at(m, args)->items[i]);
    } else if (what >= FIRST_ARGUMENT && what < STORAGES && a->n >= 1) {
        push(m, a->items[0]);
    } else {
        fail(m, "a call that is not known");
    }
}

static void make_object(machine *m)
{
    uint32_t args = pop(m), class = pop(m);
    clip_pickle_value *c = at(m, class), *v;
    (void)args;
    if (m->status) return;
    if (!is_script_class(c)) return fail(m, "an object of a class that is none of TorchScript's");
    const char *text = c->text;
    uint32_t length = c->length;
    if ((v = make(m, CLIP_PICKLE_OBJECT))) v->text = text, v->length = length;
}

/* An object's attributes are taken over; what is said beside a dictionary's items (PyTorch's _metadata) is not needed. */
static void build(machine *m)
{
    uint32_t state = pop(m), object = pop(m);
    clip_pickle_value *o = at(m, object), *s = at(m, state);
    if (m->status) return;
    if (!o || !s || s->kind != CLIP_PICKLE_DICT || (o->kind != CLIP_PICKLE_OBJECT && o->kind != CLIP_PICKLE_DICT))
        return fail(m, "attributes of something that has none");
    for (uint32_t i = 0; o->kind == CLIP_PICKLE_OBJECT && i < s->n && !m->status; i++) add_item(m, object, s->items[i]);
    push(m, object);
}

static void make_storage(machine *m)
{
    uint32_t id = pop(m), storage = m->p->count;
    const clip_pickle_value *v = at(m, id), *class = v && v->kind == CLIP_PICKLE_TUPLE && v->n >= 5 ? at(m, v->items[1]) : NULL;
    if (m->status) return;
    if (!class || known_as(class) < STORAGES || known_as(class) >= KNOWN) return fail(m, "a storage of no known type");
    make(m, CLIP_PICKLE_STORAGE);
    for (uint32_t i = 0; i < 5 && !m->status; i++) add_item(m, storage, at(m, id)->items[i]);
}

/* ---- running --------------------------------------------------------------------------------------------------- */

static void step(machine *m)
{
    int op = (int)take_number(m, 1);
    if (m->status) return;
    switch (op) {
    case 'N': make(m, CLIP_PICKLE_NONE); break;
    case 0x88: case 0x89: make_number(m, CLIP_PICKLE_BOOL, op == 0x88); break;
    case 'J': make_number(m, CLIP_PICKLE_INT, (int32_t)take_number(m, 4)); break;
    case 'K': make_number(m, CLIP_PICKLE_INT, (int64_t)take_number(m, 1)); break;
    case 'M': make_number(m, CLIP_PICKLE_INT, (int64_t)take_number(m, 2)); break;
    case 0x8a: take_long(m); break;
    case 'G': if (take(m, 8)) make(m, CLIP_PICKLE_FLOAT); break;
    case 'X': take_text(m); break;
    case '(': push(m, MARK); break;
    case '0': (void)pop(m); break;
    case ')': make(m, CLIP_PICKLE_TUPLE); break;
    case 't': make_tuple(m, pop_mark(m), 1); break;
    case 0x85: case 0x86: case 0x87: make_short_tuple(m, (uint32_t)op - 0x84); break;
    case ']': make(m, CLIP_PICKLE_LIST); break;
    case 'a': add_last(m, 1, CLIP_PICKLE_LIST); break;
    case 'e': add_marked(m, CLIP_PICKLE_LIST); break;
    case '}': make(m, CLIP_PICKLE_DICT); break;
    case 's': add_last(m, 2, CLIP_PICKLE_DICT); break;
    case 'u': add_marked(m, CLIP_PICKLE_DICT); break;
    case 'q': put(m, take_number(m, 1)); break;
    case 'r': put(m, take_number(m, 4)); break;
    case 'h': get(m, take_number(m, 1)); break;
    case 'j': get(m, take_number(m, 4)); break;
    case 'c': take_global(m); break;
    case 'R': call(m); break;
    case 0x81: make_object(m); break;
    case 'b': build(m); break;
    case 'Q': make_storage(m); break;
    case '.': m->p->root = pop(m); m->done = true; break;
    default: fail(m, "an instruction that PyTorch does not write");
    }
}

clip_status clip_pickle_parse(const char *name, const uint8_t *bytes, size_t n, clip_pickle *out, clip_error *err)
{
    machine m = {.name = name, .bytes = bytes, .n = n, .at = 2, .p = out, .err = err};
    *out = (clip_pickle){0};
    if (n > MAX_BYTES)
        return clip_fail(err, CLIP_E_LIMIT, "%s: a pickle of %zu bytes; that of the largest CLIP has a hundredth of it", name, n);
    if (n < 2 || bytes[0] != 0x80) return clip_fail(err, CLIP_E_FORMAT, "%s: no pickle", name);
    if (bytes[1] != 2)
        return clip_fail(err, CLIP_E_UNSUPPORTED, "%s: pickle protocol %d; PyTorch writes 2 unless it is told otherwise", name, bytes[1]);
    while (!m.status && !m.done) step(&m);
    free(m.stack);
    free(m.memo);
    if (m.status) clip_pickle_finish(out);
    return m.status;
}

void clip_pickle_finish(clip_pickle *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->values[i].kind >= CLIP_PICKLE_TUPLE) free(p->values[i].items);
    free(p->values);
    *p = (clip_pickle){0};
}

/* ---- looking --------------------------------------------------------------------------------------------------- */

bool clip_pickle_is(const clip_pickle_value *v, clip_pickle_kind kind, const char *text)
{
    return v && v->kind == kind && v->length == strlen(text) && !memcmp(v->text, text, v->length);
}

const clip_pickle_value *clip_pickle_item(const clip_pickle *p, const clip_pickle_value *list, uint32_t i)
{
    return list && list->kind >= CLIP_PICKLE_TUPLE && i < list->n ? &p->values[list->items[i]] : NULL;
}

const clip_pickle_value *clip_pickle_member(const clip_pickle *p, const clip_pickle_value *dict, const char *key)
{
    if (!dict || (dict->kind != CLIP_PICKLE_DICT && dict->kind != CLIP_PICKLE_OBJECT)) return NULL;
    for (uint32_t i = 0; i + 1 < dict->n; i += 2)
        if (clip_pickle_is(&p->values[dict->items[i]], CLIP_PICKLE_TEXT, key)) return &p->values[dict->items[i + 1]];
    return NULL;
}
