/* make_model.c: a model for stories: real in form, tiny, random, the same for the same seed.
 *
 *     make_model DIR SEED [siglip|shards]
 *
 * An open_clip directory: a ViT of one layer and width 32 over 64 x 64 pixels, a text tower of the same size, 32 numbers a
 * vector, CLIP's 256 bytes as the vocabulary and no merge. The class token starts at zero and its block attends to the
 * patches, so that pictures of different colours get different vectors; what words mean to it is chance.
 *
 * With "siglip" a folder in Hugging Face's form of the same sizes: attention pooling, a scale of exp(2.5) and a bias of -1, and
 * letters as its pieces. With "shards" the weights are part-1.safetensors, part-2.safetensors and an index. */
#include "tests/made_numbers.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LETTERS = 4 + 26, SIGLIP_CONTEXT = 16 };
enum { WIDTH = 32, DIM = 32, SIZE = 64, PATCH = 16, CONTEXT = 77, BYTES = 256, VOCAB = 2 * BYTES + 2 };
enum { PATCHES = (SIZE / PATCH) * (SIZE / PATCH) };

typedef struct tensor {
    const char *name;
    int shape[4], dims;
    double mean, spread;
} tensor;

#define GAIN(n) {n ".weight", {WIDTH}, 1, 1, 0}, {n ".bias", {WIDTH}, 1, 0, 0.02}
#define BLOCK(p)                                                                                                       \
    GAIN(p "ln_1"), GAIN(p "ln_2"), {p "attn.in_proj_weight", {3 * WIDTH, WIDTH}, 2, 0, 0.25},                         \
        {p "attn.in_proj_bias", {3 * WIDTH}, 1, 0, 0.02}, {p "attn.out_proj.weight", {WIDTH, WIDTH}, 2, 0, 0.25},      \
        {p "attn.out_proj.bias", {WIDTH}, 1, 0, 0.02}, {p "mlp.c_fc.weight", {4 * WIDTH, WIDTH}, 2, 0, 0.2},           \
        {p "mlp.c_fc.bias", {4 * WIDTH}, 1, 0, 0.02}, {p "mlp.c_proj.weight", {WIDTH, 4 * WIDTH}, 2, 0, 0.1},          \
        {p "mlp.c_proj.bias", {WIDTH}, 1, 0, 0.02}

static const tensor tensors[] = {
    {"logit_scale", {0}, 0, 4.6052, 0},
    {"visual.class_embedding", {WIDTH}, 1, 0, 0},
    {"visual.conv1.weight", {WIDTH, 3, PATCH, PATCH}, 4, 0, 0.08},
    {"visual.positional_embedding", {1 + PATCHES, WIDTH}, 2, 0, 0.02},
    GAIN("visual.ln_pre"), GAIN("visual.ln_post"), BLOCK("visual.transformer.resblocks.0."),
    {"visual.proj", {WIDTH, DIM}, 2, 0, 0.2},
    {"token_embedding.weight", {VOCAB, WIDTH}, 2, 0, 0.5},
    {"positional_embedding", {CONTEXT, WIDTH}, 2, 0, 0.1},
    BLOCK("transformer.resblocks.0."), GAIN("ln_final"),
    {"text_projection", {WIDTH, DIM}, 2, 0, 0.2},
};
enum { TENSORS = sizeof tensors / sizeof *tensors };

#define LAYER(n, out, in, spread) {n ".weight", {out, in}, 2, 0, spread}, {n ".bias", {out}, 1, 0, 0.02}
#define SIGLIP_BLOCK(p)                                                                                                       \
    GAIN(p "layer_norm1"), GAIN(p "layer_norm2"), LAYER(p "self_attn.q_proj", WIDTH, WIDTH, 0.25),                            \
        LAYER(p "self_attn.k_proj", WIDTH, WIDTH, 0.25), LAYER(p "self_attn.v_proj", WIDTH, WIDTH, 0.25),                     \
        LAYER(p "self_attn.out_proj", WIDTH, WIDTH, 0.25), LAYER(p "mlp.fc1", 4 * WIDTH, WIDTH, 0.2),                         \
        LAYER(p "mlp.fc2", WIDTH, 4 * WIDTH, 0.1)

static const tensor siglip_tensors[] = {
    {"logit_scale", {1}, 1, 2.5, 0}, {"logit_bias", {1}, 1, -1, 0},
    {"vision_model.embeddings.patch_embedding.weight", {WIDTH, 3, PATCH, PATCH}, 4, 0, 0.08},
    {"vision_model.embeddings.patch_embedding.bias", {WIDTH}, 1, 0, 0.02},
    {"vision_model.embeddings.position_embedding.weight", {PATCHES, WIDTH}, 2, 0, 0.02},
    SIGLIP_BLOCK("vision_model.encoder.layers.0."), GAIN("vision_model.post_layernorm"),
    {"vision_model.head.probe", {1, 1, WIDTH}, 3, 0, 0.5},
    {"vision_model.head.attention.in_proj_weight", {3 * WIDTH, WIDTH}, 2, 0, 0.25},
    {"vision_model.head.attention.in_proj_bias", {3 * WIDTH}, 1, 0, 0.02},
    LAYER("vision_model.head.attention.out_proj", WIDTH, WIDTH, 0.25), GAIN("vision_model.head.layernorm"),
    LAYER("vision_model.head.mlp.fc1", 4 * WIDTH, WIDTH, 0.2), LAYER("vision_model.head.mlp.fc2", WIDTH, 4 * WIDTH, 0.1),
    {"text_model.embeddings.token_embedding.weight", {LETTERS, WIDTH}, 2, 0, 0.5},
    {"text_model.embeddings.position_embedding.weight", {SIGLIP_CONTEXT, WIDTH}, 2, 0, 0.1},
    SIGLIP_BLOCK("text_model.encoder.layers.0."), GAIN("text_model.final_layer_norm"), LAYER("text_model.head", WIDTH, WIDTH, 0.2),
};
enum { SIGLIP_TENSORS = sizeof siglip_tensors / sizeof *siglip_tensors };

static uint64_t state;

static double uniform(void) /* [0, 1) */
{
    return (double)(made_bits(&state) >> 11) / 9007199254740992.0;
}

static double normal(void)
{
    double radius = sqrt(-2 * log(1 - uniform()));
    return radius * cos(6.283185307179586 * uniform());
}

static long count_of(const tensor *t)
{
    long n = 1;
    for (int i = 0; i < t->dims; i++) n *= t->shape[i];
    return n;
}

static FILE *create(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f) perror(path), exit(2);
    return f;
}

static void finish(FILE *f)
{
    if (ferror(f) || fclose(f)) perror("make_model"), exit(2);
}

static void write_weights(const char *dir, const char *name, const tensor *all, int count)
{
    FILE *f = create(dir, name);
    char *header = NULL;
    size_t size = 0;
    FILE *h = open_memstream(&header, &size);
    long at = 0;
    for (int i = 0; i < count; i++) {
        const tensor *t = &all[i];
        fprintf(h, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", i ? "," : "{", t->name);
        for (int d = 0; d < t->dims; d++) fprintf(h, d ? ",%d" : "%d", t->shape[d]);
        fprintf(h, "],\"data_offsets\":[%ld,%ld]}", at, at + 4 * count_of(t));
        at += 4 * count_of(t);
    }
    fputc('}', h);
    fclose(h);
    uint64_t padded = (size + 7) / 8 * 8;
    fwrite(&padded, 8, 1, f); /* little-endian, as every machine that this is built for */
    fprintf(f, "%s%*s", header, (int)(padded - size), "");
    free(header);
    for (int i = 0; i < count; i++)
        for (long n = count_of(&all[i]); n; n--) {
            float value = (float)(all[i].mean + (all[i].spread > 0 ? all[i].spread * normal() : 0));
            fwrite(&value, 4, 1, f);
        }
    finish(f);
}

static void write_shards(const char *dir)
{
    int half = TENSORS / 2;
    FILE *f = create(dir, "open_clip_model.safetensors.index.json");
    for (int i = 0; i < TENSORS; i++)
        fprintf(f, "%s\"%s\":\"part-%d.safetensors\"", i ? "," : "{\"weight_map\":{", tensors[i].name, i < half ? 1 : 2);
    fputs("}}\n", f);
    finish(f);
    write_weights(dir, "part-1.safetensors", tensors, half);
    write_weights(dir, "part-2.safetensors", tensors + half, TENSORS - half);
}

/* GPT-2's table: printable bytes of Latin-1 are themselves, the others follow from U+0100 on. */
static void write_vocabulary(const char *dir)
{
    FILE *f = create(dir, "vocab.json");
    int code[BYTES], n = 0, id = 0, other = 256;
    for (int b = 0; b < BYTES; b++)
        if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174) code[n++] = b;
    while (n < BYTES) code[n++] = other++;
    for (int end = 0; end < 2; end++)
        for (int i = 0; i < BYTES; i++) fprintf(f, "%s\"\\u%04x%s\":%d", id ? "," : "{", code[i], end ? "</w>" : "", id), id++;
    fprintf(f, ",\"<|startoftext|>\":%d,\"<|endoftext|>\":%d}\n", VOCAB - 2, VOCAB - 1);
    finish(f);
    f = create(dir, "merges.txt");
    fputs("#version: 0.2\n", f);
    finish(f);
}

static void write_config(const char *dir)
{
    FILE *f = create(dir, "open_clip_config.json");
    fprintf(f,
            "{\"model_cfg\":{\"embed_dim\":%d,\n"
            "  \"vision_cfg\":{\"image_size\":%d,\"layers\":1,\"width\":%d,\"head_width\":16,\"patch_size\":%d},\n"
            "  \"text_cfg\":{\"context_length\":%d,\"vocab_size\":%d,\"width\":%d,\"heads\":2,\"layers\":1}},\n"
            " \"preprocess_cfg\":{\"mean\":[0.48145466,0.4578275,0.40821073],\"std\":[0.26862954,0.26130258,0.27577711]}}\n",
            DIM, SIZE, WIDTH, PATCH, CONTEXT, VOCAB, WIDTH);
    finish(f);
}

/* A sentencepiece model: fields of a protocol buffer, a piece of each with its score, -1, and its kind. */
static void write_pieces(const char *dir)
{
    static const char *const special[] = {"<pad>", "</s>", "<unk>", "\xE2\x96\x81"};
    FILE *f = create(dir, "spiece.model");
    for (int i = 0; i < LETTERS; i++) {
        const char letter[2] = {(char)('a' + i - 4), 0}, *piece = i < 4 ? special[i] : letter;
        int n = (int)strlen(piece), kind = i < 2 ? 3 : i == 2 ? 2 : 1;
        fprintf(f, "\x0A%c\x0A%c%s\x15%c%c\x80\xBF\x18%c", n + 9, n, piece, 0, 0, kind);
    }
    finish(f);
}

static void write_siglip_config(const char *dir)
{
    FILE *f = create(dir, "config.json");
    fprintf(f,
            "{\"model_type\":\"siglip\",\n"
            "  \"vision_config\":{\"image_size\":%d,\"num_hidden_layers\":1,\"hidden_size\":%d,\"intermediate_size\":%d,"
            "\"num_attention_heads\":2,\"patch_size\":%d},\n"
            "  \"text_config\":{\"max_position_embeddings\":%d,\"vocab_size\":%d,\"hidden_size\":%d,\"intermediate_size\":%d,"
            "\"num_attention_heads\":2,\"num_hidden_layers\":1}}\n",
            SIZE, WIDTH, 4 * WIDTH, PATCH, SIGLIP_CONTEXT, LETTERS, WIDTH, 4 * WIDTH);
    finish(f);
}

int main(int argc, char **argv)
{
    bool siglip = argc == 4 && strcmp(argv[3], "siglip") == 0;
    bool shards = argc == 4 && strcmp(argv[3], "shards") == 0;
    if (argc != 3 && !siglip && !shards) return fputs("usage: make_model DIR SEED [siglip|shards]\n", stderr), 2;
    if (mkdir(argv[1], 0777) && errno != EEXIST) return perror(argv[1]), 2;
    state = strtoull(argv[2], NULL, 10);
    if (siglip) {
        write_weights(argv[1], "model.safetensors", siglip_tensors, SIGLIP_TENSORS);
        write_pieces(argv[1]);
        write_siglip_config(argv[1]);
        return 0;
    }
    if (shards) write_shards(argv[1]);
    else write_weights(argv[1], "open_clip_model.safetensors", tensors, TENSORS);
    write_vocabulary(argv[1]);
    write_config(argv[1]);
    return 0;
}
