"""CLIP's text transformer, computed only over the tokens that exist: what the causal mask allows and open_clip does not."""
import os
import torch, torch.nn as nn, torch.nn.functional as F
from tokenizers import Tokenizer
from common import autocast


class TextTower(nn.Module):
    """Parameters carry open_clip's names, so that the state dict is a part of the exported model."""

    def __init__(self, vocab, width, heads, layers, out, context=77):
        super().__init__()
        self.heads = heads
        self.token_embedding = nn.Embedding(vocab, width)
        self.positional_embedding = nn.Parameter(torch.empty(context, width))
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(Block(width) for _ in range(layers))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, out))
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        nn.init.normal_(self.text_projection, std=width ** -0.5)
        for b in self.transformer.resblocks:
            nn.init.normal_(b.attn.in_proj_weight, std=width ** -0.5)
            nn.init.normal_(b.attn.out_proj.weight, std=(2 * width * layers) ** -0.5)
            nn.init.normal_(b.mlp.c_fc.weight, std=(2 * width) ** -0.5)
            nn.init.normal_(b.mlp.c_proj.weight, std=(2 * width * layers) ** -0.5)
            for p in (b.attn.in_proj_bias, b.attn.out_proj.bias, b.mlp.c_fc.bias, b.mlp.c_proj.bias):
                nn.init.zeros_(p)

    def forward(self, ids):
        return self.hidden(ids) @ self.text_projection

    def hidden(self, ids):                                    # ids [B,T], anything after the end token -> [B,width]
        x = self.token_embedding(ids) + self.positional_embedding[:ids.shape[1]]
        for block in self.transformer.resblocks:
            x = block(x, self.heads)
        x = x[torch.arange(len(ids)), ids.argmax(1)]          # the end token, the largest id
        return self.ln_final(x.float())


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.attn.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.attn.out_proj = nn.Linear(width, width)
        self.mlp.c_fc, self.mlp.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, heads):
        b, t, w = x.shape
        q, k, v = F.linear(self.ln_1(x), self.attn.in_proj_weight, self.attn.in_proj_bias) \
            .view(b, t, 3, heads, w // heads).permute(2, 0, 3, 1, 4)
        # Written out: on a CPU the fused kernel's backward is many times slower for sentences this short.
        s = (q * (w // heads) ** -0.5) @ k.transpose(-1, -2)
        y = s.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), float("-inf")).softmax(-1).to(v.dtype) @ v
        x = x + self.attn.out_proj(y.transpose(1, 2).reshape(b, t, w))
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x))))


class Ids:
    """Tokenised sentences; batch(rows) -> ids padded with the end token to the longest of the batch."""

    def __init__(self, tokenizer, texts, context=77):
        t = Tokenizer.from_file(tokenizer)
        t.enable_truncation(context)
        self.ids = [torch.tensor(e.ids, dtype=torch.int32) for e in t.encode_batch(texts)]
        self.length = torch.tensor([len(i) for i in self.ids])

    def batch(self, rows):
        return nn.utils.rnn.pad_sequence([self.ids[r] for r in rows], True, 16383).long()


@torch.no_grad()
def encode(tower, ids, size=256, hidden=False):
    """All sentences -> unit vectors [n,d] f32, or what the projection takes."""
    order = ids.length.argsort()
    out = None
    for rows in order.split(size):
        with autocast():
            v = (tower.hidden if hidden else tower)(ids.batch(rows.tolist()))
        if out is None:
            out = torch.empty(len(order), v.shape[1])
        out[rows] = v.float() if hidden else F.normalize(v.float(), dim=-1)
    return out


def hidden(tower, lists, work, source):
    """What the projection takes, of each of the lists of Ids; kept in WORK until `source`, the tower's file there, is newer."""
    kept = f"{work}/hidden-{source}"
    if not os.path.exists(kept) or os.path.getmtime(kept) < os.path.getmtime(f"{work}/{source}"):
        torch.save([encode(tower, i, hidden=True) for i in lists], kept)
    return torch.load(kept)
