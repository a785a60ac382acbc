/* html_entities.h: HTML 5's named character references, and those that ftfy adds. Internal to engine/. */
#ifndef CLIP_HTML_ENTITIES_H
#define CLIP_HTML_ENTITIES_H

/* The longest name, without & and semicolon. */
#define CLIP_ENTITY_NAME_MAX 31

typedef enum clip_entity_kind {
    CLIP_ENTITY_SEMICOLON = 's', /* counts with its semicolon only */
    CLIP_ENTITY_LEGACY = 'l',    /* counts without one too: &amp &copy */
    CLIP_ENTITY_CAPITALS = 'c'   /* ftfy's own, not HTML's: &NTILDE; */
} clip_entity_kind;

/* name: without & and semicolon. Its value in UTF-8, or NULL. */
const char *clip_html_entity(const char *name, clip_entity_kind *kind);

#endif
