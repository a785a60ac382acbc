/* known_models.c: models that are worth naming, with published figures and nothing else.
 *
 * Only what the engine runs is here: OpenAI's nine, plain ViTs and SigLIP's whose weights lie on the hub as safetensors.
 *
 * Figures stand where their source was at hand; 0 means that it was not. ImageNet and Flickr30k of OpenAI's models: open_clip's
 * own evaluation (docs/openclip_results.csv); of the others: open_clip's README and model cards; TinyCLIP: Wu et al. 2023,
 * arXiv 2309.12314. Repositories: open_clip's pretrained.py. Parameters: as many as
 * open_clip 3 counts in each architecture; TinyCLIP's, which it does not have, by theirs. GMACs count matrix products only, convolution of patches
 * included: 12 w^2 a layer and token and 2 t^2 w a layer for attention, which gives the published 4.41 and 2.98 of ViT-B/32. */
#include "query/known_models.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const query_known_model query_known_models[] = {
    {"RN50/openai", "RN50", "timm/resnet50_clip.openai", 224, 1024, 102, 6.11, 2.98, 59.82, 57.4, "MIT"},
    {"RN101/openai", "RN101", "timm/resnet101_clip.openai", 224, 512, 120, 9.77, 2.98, 62.28, 58, "MIT"},
    {"RN50x4/openai", "RN50x4", "timm/resnet50x4_clip.openai", 288, 640, 178, 21.28, 4.63, 66.27, 62.6, "MIT"},
    {"RN50x16/openai", "RN50x16", "timm/resnet50x16_clip.openai", 384, 768, 291, 74.7, 6.65, 70.72, 65.3, "MIT"},
    {"RN50x64/openai", "RN50x64", "timm/resnet50x64_clip.openai", 448, 1024, 623, 264.6, 11.77, 73.91, 69, "MIT"},
    {"ViT-B-32/openai", "ViT-B/32", "timm/vit_base_patch32_clip_224.openai", 224, 512, 151, 4.41, 2.98, 63.32, 58.8, "MIT"},
    {"ViT-B-16/openai", "ViT-B/16", "timm/vit_base_patch16_clip_224.openai", 224, 512, 150, 17.56, 2.98, 68.34, 62.2, "MIT"},
    {"ViT-L-14/openai", "ViT-L/14", "timm/vit_large_patch14_clip_224.openai", 224, 768, 428, 81.01, 6.65, 75.54, 65.0, "MIT"},
    {"ViT-L-14-336/openai", "ViT-L/14@336px", "timm/vit_large_patch14_clip_336.openai", 336, 768, 428, 190.96, 6.65, 76.56, 66.9, "MIT"},
    {"ViT-B-32/laion2b_s34b_b79k", NULL, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 224, 512, 151, 4.41, 2.98, 66.6, 66.8, "MIT"},
    {"ViT-B-16/laion2b_s34b_b88k", NULL, "laion/CLIP-ViT-B-16-laion2B-s34B-b88K", 224, 512, 150, 17.56, 2.98, 0, 0, "MIT"},
    {"ViT-L-14/laion2b_s32b_b82k", NULL, "laion/CLIP-ViT-L-14-laion2B-s32B-b82K", 224, 768, 428, 81.01, 6.65, 0, 0, "MIT"},
    {"ViT-H-14/laion2b_s32b_b79k", NULL, "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", 224, 1024, 986, 167.3, 23.5, 78.0, 0, "MIT"},
    {"ViT-B-32/datacomp_xl_s13b_b90k", NULL, "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K", 224, 512, 151, 4.41, 2.98, 0, 0, "MIT"},
    {"ViT-B-32-256/datacomp_s34b_b86k", NULL, "laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K", 256, 512, 151, 5.75, 2.98, 72.8, 0, "MIT"},
    {"ViT-B-16/datacomp_xl_s13b_b90k", NULL, "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K", 224, 512, 150, 17.56, 2.98, 0, 0, "MIT"},
    {"ViT-L-14/datacomp_xl_s13b_b90k", NULL, "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", 224, 768, 428, 81.01, 6.65, 79.2, 0, "MIT"},
    {"ViT-B-16-quickgelu/dfn2b", NULL, "apple/DFN2B-CLIP-ViT-B-16", 224, 512, 150, 17.56, 2.98, 76.2, 0, "Apple's own"},
    {"ViT-B-32-quickgelu/metaclip_400m", NULL, "timm/vit_base_patch32_clip_224.metaclip_400m", 224, 512, 151, 4.41, 2.98, 0, 0, "CC BY-NC 4.0"},
    {"ViT-B-16-quickgelu/metaclip_400m", NULL, "timm/vit_base_patch16_clip_224.metaclip_400m", 224, 512, 150, 17.56, 2.98, 0, 0, "CC BY-NC 4.0"},
    {"ViT-L-14-quickgelu/metaclip_400m", NULL, "timm/vit_large_patch14_clip_224.metaclip_400m", 224, 768, 428, 81.01, 6.65, 0, 0, "CC BY-NC 4.0"},
    {"TinyCLIP-ViT-39M-16-Text-19M/yfcc15m", NULL, "wkcn/TinyCLIP-ViT-39M-16-Text-19M-YFCC15M", 224, 512, 83, 8.0, 1.49, 63.5, 0, "MIT"},
    {"TinyCLIP-ViT-8M-16-Text-3M/yfcc15m", NULL, "wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M", 224, 512, 23, 1.79, 0.19, 41.1, 0, "MIT"},
    {"ViT-B-16-SigLIP/webli", NULL, "timm/ViT-B-16-SigLIP", 224, 768, 203, 17.71, 5.51, 0, 0, "Apache 2.0"},
    {"ViT-B-16-SigLIP-256/webli", NULL, "timm/ViT-B-16-SigLIP-256", 256, 768, 203, 23.41, 5.51, 0, 0, "Apache 2.0"},
    {"ViT-B-16-SigLIP-i18n-256/webli", NULL, "timm/ViT-B-16-SigLIP-i18n-256", 256, 768, 371, 23.41, 5.51, 0, 0, "Apache 2.0"},
    {"ViT-B-16-SigLIP-384/webli", NULL, "timm/ViT-B-16-SigLIP-384", 384, 768, 203, 56.06, 5.51, 0, 0, "Apache 2.0"},
    {"ViT-B-16-SigLIP-512/webli", NULL, "timm/ViT-B-16-SigLIP-512", 512, 768, 204, 108.12, 5.51, 0, 0, "Apache 2.0"},
    {"ViT-L-16-SigLIP-256/webli", NULL, "timm/ViT-L-16-SigLIP-256", 256, 1024, 652, 81.28, 19.53, 0, 0, "Apache 2.0"},
    {"ViT-L-16-SigLIP-384/webli", NULL, "timm/ViT-L-16-SigLIP-384", 384, 1024, 652, 191.93, 19.53, 0, 0, "Apache 2.0"},
    {"ViT-SO400M-14-SigLIP/webli", NULL, "timm/ViT-SO400M-14-SigLIP", 224, 1152, 877, 110.18, 6.59, 0, 0, "Apache 2.0"},
    {"ViT-SO400M-14-SigLIP-384/webli", NULL, "timm/ViT-SO400M-14-SigLIP-384", 384, 1152, 878, 335.17, 26.56, 0, 0, "Apache 2.0"},
    {0}};

const query_known_model *query_known_model_find(const char *name)
{
    for (const query_known_model *k = query_known_models; k->name; k++)
        if (strcasecmp(k->name, name) == 0 || (k->alias && strcasecmp(k->alias, name) == 0)) return k;
    return NULL;
}

/* [p, p+n) as PART or PART/PART..., each of harmless letters and not beginning with a dot or a dash. */
static bool harmless(const char *p, size_t n, size_t least_parts, size_t most_parts)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
    size_t parts = 1;
    for (size_t i = 0; i < n; i++) {
        bool first = i == 0 || p[i - 1] == '/';
        if (!p[i] || !strchr(letters, p[i])) return false;
        if (first && (p[i] == '.' || p[i] == '-' || p[i] == '/')) return false;
        if (p[i] == '/') parts++;
    }
    return n && p[n - 1] != '/' && parts >= least_parts && parts <= most_parts;
}

bool query_model_name_fits(const char *name)
{
    static const char partial[] = ".partial", old[] = ".old"; /* see model_folder.h */
    size_t n = strlen(name), p = sizeof partial - 1, o = sizeof old - 1;
    return n < 200 && harmless(name, n, 1, 2) && strcmp(name, "default") != 0 && !(n >= p && !strcmp(name + n - p, partial)) &&
           !(n >= o && !strcmp(name + n - o, old));
}

static bool refuse(clip_error *err, const char *spec)
{
    if (err)
        snprintf(err->text, sizeof err->text, "there is no known model \"%.100s\"; `clipsearch model list` names them, and "
                 "hf:OWNER/REPO[@REVISION] means any repository on Hugging Face", spec);
    return false;
}

bool query_model_source_parse(const char *spec, query_model_source *out, clip_error *err)
{
    const query_known_model *known = query_known_model_find(spec);
    *out = (query_model_source){.revision = "main"};
    if (known) {
        snprintf(out->repo, sizeof out->repo, "%s", known->repo);
        snprintf(out->name, sizeof out->name, "%s", known->name);
        return true;
    }
    if (strncmp(spec, "hf:", 3) != 0) return refuse(err, spec);
    const char *repo = spec + 3, *at = strchr(repo, '@'), *revision = at ? at + 1 : NULL;
    size_t n = at ? (size_t)(at - repo) : strlen(repo), m = revision ? strlen(revision) : 0;
    if (n >= sizeof out->repo || m >= sizeof out->revision || !harmless(repo, n, 2, 2) ||
        (revision && !harmless(revision, m, 1, 4)))
        return refuse(err, spec);
    snprintf(out->repo, sizeof out->repo, "%.*s", (int)n, repo);
    if (revision) snprintf(out->revision, sizeof out->revision, "%s", revision);
    snprintf(out->name, sizeof out->name, "%.*s%s%s", (int)n, repo, revision ? "@" : "", revision ? revision : "");
    for (char *p = out->name + n; *p; p++)
        if (*p == '/') *p = '-'; /* refs/pr/3 is one folder */
    return true;
}
